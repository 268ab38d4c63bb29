"""The imaging door of a release: what is new or changed is read in worker processes, the rest is left alone.

What belongs here: the plan, the ledger raw.imaging_delivery, the rows of raw.dixon_series. Reading images is the work of
`models.imaging`, run by `case_work.take_in`.
"""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd

from dagster_project import engine
from dagster_project.batching import in_batches
from dagster_project.case_work import DeliveredCase, derivative_folder, take_in
from dagster_project.defs.releases import Release
from dagster_project.identity import Identity, is_pseudonym
from dagster_project.intake_issue import Issues
from dagster_project.settings import Settings
from dagster_project.warehouse import insert, transaction
from dagster_project.withdrawal import Withdrawn
from models.imaging.dixon import CONTRASTS
from models.imaging.intake import Plan, plan_intake
from models.imaging.layout import Case
from models.imaging.refusal import REFUSALS

DEADLINE_S = 600
MEMORY_BYTES = 6 * 2**30
STORED = "stored"
LEFT_OUT = ("withdrawn", "superseded", "duplicate_run", "stray_file")
TRIED_AGAIN = ("still_copying", "deadline", "worker_died", "out_of_memory", "error")
MESSAGES = {
    "withdrawn": "The person has withdrawn; the images were not read.",
    "duplicate_run": "Another run of the same participant and visit is more complete or later, and was taken in instead.",
    "stray_file": "The file follows no naming rule of a delivery: see the README for the layouts.",
}
SUPERSEDED = """
    SELECT DISTINCT series.participant_id, series.visit
    FROM raw.dixon_series AS series
    JOIN raw.release AS later USING (release, study)
    JOIN raw.release AS this
        ON this.release = $release AND this.study = later.study AND this.registration < later.registration
"""


class ImagingDoor:
    """The imaging folder of one release on its way into the warehouse."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        settings: Settings,
        release: Release,
        identity: Identity,
        withdrawn: Withdrawn,
        issues: Issues,
    ):
        self._connection, self._settings, self._release = connection, settings, release
        self._identity, self._withdrawn, self._issues = identity, withdrawn, issues
        self._ledger: list[dict] = []
        self._known_ids = {
            row[0]
            for row in connection.execute(
                "SELECT participant_id FROM raw.participant WHERE study = ?", [release.study]
            ).fetchall()
        }

    def take_in(self, report: Callable[[str], None]) -> tuple[list[str], int]:
        """Read what is new; returns the masked paths of all deliveries, whose issues are stored, and how many were read."""
        imaging = self._release.folder / "imaging"
        plan = plan_intake(imaging, self._release.layout)
        if imaging.is_dir() and not plan.cases:
            self._issues.add("imaging", "empty_delivery", REFUSALS["empty_delivery"])
        self._record_left_out(plan)
        unchanged, pending = self._split(plan.cases)
        superseded = frozenset(self._connection.execute(SUPERSEDED, {"release": self._release.name}).fetchall())
        cases = [
            DeliveredCase(
                case, self._settings.home, self._release.study, self._release.name, superseded, self._identity
            )
            for case in pending
        ]
        self._clear(unchanged)
        outcomes = engine.open_engine(self._settings).run(take_in, cases, DEADLINE_S, MEMORY_BYTES, engine.ALLOCATOR)
        done = 0
        for batch in in_batches(outcomes):
            self._store(batch)
            done += len(batch)
            n_refused = sum(outcome.code is not None for outcome in batch)
            report(
                f"{self._release.name}: {done} of {len(cases)} deliveries; of the last {len(batch)} {n_refused} refused"
            )
        settled = [self._identity.mask_path(self._path(case)) for case in pending]
        return [row["path"] for row in unchanged] + settled, len(cases)

    def count_new(self) -> int:
        """How many deliveries `take_in` would read."""
        return len(self._split(plan_intake(self._release.folder / "imaging", self._release.layout).cases)[1])

    def _split(self, cases: list[Case]) -> tuple[list[dict], list[Case]]:
        """Ledger rows of deliveries that need no second look, and the cases to read."""
        columns = "path, layout, fingerprint, outcome, participant_id, visit"
        rows = self._connection.execute(
            f"SELECT {columns} FROM raw.imaging_delivery WHERE release = ?", [self._release.name]
        ).fetchall()
        known = {row[0]: dict(zip(columns.split(", "), row, strict=True)) for row in rows}
        unchanged, pending = [], []
        for case in cases:
            row = known.get(self._identity.mask_path(self._path(case)))
            if case.participant_id in self._withdrawn:
                self._leave_out(case, "withdrawn")
            elif row and row["fingerprint"] == self._fingerprint(case) and self._is_settled(row):
                unchanged.append(row)
            else:
                pending.append(case)
        return unchanged, pending

    def _is_settled(self, row: dict) -> bool:
        if row["outcome"] != STORED:
            return row["outcome"] not in TRIED_AGAIN
        folder = self._settings.home / derivative_folder(self._release.study, row["participant_id"], row["visit"])
        return all((folder / f"{contrast}.nii.gz").is_file() for contrast in CONTRASTS)

    def _record_left_out(self, plan: Plan) -> None:
        for case, _ in plan.duplicates:
            self._leave_out(case, "duplicate_run")
        for file in plan.strays:
            path = str(file.path.relative_to(self._release.folder))
            self._issues.add(path, "stray_file", MESSAGES["stray_file"], is_refusal=False)

    def _leave_out(self, case: Case, code: str) -> None:
        is_secret = code == "withdrawn"
        delivered_id = None if is_secret else self._delivered_id(case)
        self._issues.add(self._path(case), code, MESSAGES[code], delivered_id, case.visit, False, is_secret)
        self._enter(case, code, delivered_id and self._identity.pseudonym(delivered_id), case.visit, is_secret)

    def _record(self, outcome: engine.Outcome, issues: Issues) -> pd.DataFrame:
        """Enter an outcome into ledger and issues; returns its rows of raw.dixon_series, none where refused."""
        case = outcome.case.case
        if outcome.code is None:
            rows = outcome.result
            self._enter(case, STORED, rows["participant_id"].iloc[0], rows["visit"].iloc[0])
            return rows
        delivered_id = self._delivered_id(case)
        is_refusal = outcome.code not in LEFT_OUT
        issues.add(self._path(case), outcome.code, outcome.message, delivered_id, case.visit, is_refusal)
        self._enter(case, outcome.code, delivered_id and self._identity.pseudonym(delivered_id), case.visit)
        return pd.DataFrame()

    def _enter(
        self, case: Case, outcome: str, stored_id: str | None, visit: str | None, is_secret: bool = False
    ) -> None:
        self._ledger.append(
            {
                "path": self._identity.mask_path(self._path(case), is_secret),
                "layout": case.layout,
                "fingerprint": self._fingerprint(case),
                "outcome": outcome,
                "participant_id": stored_id,
                "visit": visit,
            }
        )

    def _clear(self, unchanged: list[dict]) -> None:
        """Begin the release's ledger and manifest anew; rows of unchanged and of superseded deliveries stay."""
        kept = pd.DataFrame(unchanged, columns=["path", "participant_id", "visit"])
        with transaction(self._connection):
            self._connection.register("kept", kept.astype(object).where(kept.notna(), None))
            self._connection.execute(
                "DELETE FROM raw.imaging_delivery WHERE release = $release AND path NOT IN (SELECT path::VARCHAR FROM kept)",
                {"release": self._release.name},
            )
            self._connection.execute(
                "DELETE FROM raw.dixon_series WHERE release = $release"
                " AND (participant_id, visit) NOT IN (SELECT (participant_id::VARCHAR, visit::VARCHAR) FROM kept WHERE participant_id IS NOT NULL AND visit IS NOT NULL)"
                f" AND (participant_id, visit) NOT IN ({SUPERSEDED})",
                {"release": self._release.name},
            )
            self._connection.unregister("kept")
            self._insert_ledger()

    def _store(self, batch: list[engine.Outcome]) -> None:
        """Add what became of some deliveries: ledger, manifest and issues in one transaction."""
        issues = Issues(self._identity)
        frames = [self._record(outcome, issues) for outcome in batch]
        paths = [row["path"] for row in self._ledger]
        with transaction(self._connection):
            self._connection.execute(
                "DELETE FROM raw.intake_issue WHERE release = ? AND list_contains(?, path)", [self._release.name, paths]
            )
            insert(self._connection, "raw.intake_issue", issues.collect().assign(release=self._release.name))
            self._insert_ledger()
            rows = pd.concat([frame for frame in frames if len(frame)] or [pd.DataFrame()])
            insert(
                self._connection,
                "raw.dixon_series",
                rows.assign(study=self._release.study, release=self._release.name),
            )

    def _insert_ledger(self) -> None:
        ledger = pd.DataFrame(self._ledger).assign(study=self._release.study, release=self._release.name)
        insert(self._connection, "raw.imaging_delivery", ledger)
        self._ledger = []

    def _delivered_id(self, case: Case) -> str | None:
        """The id in the file's name, where it is one: another word in that place may be a name."""
        named = case.participant_id
        is_known = is_pseudonym(named) or (named and self._identity.pseudonym(named) in self._known_ids)
        return named if is_known else None

    def _path(self, case: Case) -> str:
        """The case's path within the release; files of one folder that make several cases are told by their first."""
        path = case.path if case.layout in ("composed", "dicom") else case.files[0].path
        return str(path.relative_to(self._release.folder))

    def _fingerprint(self, case: Case) -> str:
        files = [
            f"{Path(file.path).relative_to(self._release.folder)}\0{file.size}\0{file.mtime_ns}" for file in case.files
        ]
        return self._identity.hash("\n".join(files))
