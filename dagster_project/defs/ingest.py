"""Intake: every door of a release into the raw tables, the images into derivatives.

What belongs here: which file goes through which door, and recording what was refused. Reading DICOM and tables is the
work of `models`. A release is taken in as a whole and may be taken in again: its rows are replaced.
"""

import hashlib
import hmac
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import duckdb
import pandas as pd

from dagster_project import engine
from dagster_project.asset_specs import describe_table
from dagster_project.case_work import ArchiveCase, derivative_folder, take_in
from dagster_project.catalog import SQL, Table, compile_catalog
from dagster_project.defs.releases import Release, open_release, releases
from dagster_project.settings import load_settings
from dagster_project.warehouse import Warehouse, count_rows, insert, transaction
from models.imaging.demo import SERIES
from models.statistics import participants

RAW_TABLES = ("release", "participant", "measurement", "withdrawal", "dixon_series", "intake_issue")
ARCHIVE_DEADLINE_S = 600
KNOWN_PATH_PART = re.compile(
    rf"imaging|{SERIES}|3D_GRE_TRA_(in|opp|F|W)|\d{{6}}(_(30|60))?\.zip|participants\.csv|measurements\.csv|measures\.csv|withdrawals\.csv|profiles\.parquet"
)
PROFILES = "profiles.parquet"
PROFILE_COLUMNS = ("participant_id", "visit", "compartment", "side", "slice_index", "z_mm", "csa_cm2")
VALID_PROFILE_ROW = (
    "compartment IN ('psoas', 'gluteus') AND side IN ('left', 'right') AND csa_cm2 >= 0 AND isfinite(z_mm)"
)
SUPERSEDED = """
    SELECT DISTINCT series.participant_id, series.visit
    FROM raw.dixon_series AS series
    JOIN raw.release AS later USING (release, study)
    JOIN raw.release AS this ON this.release = $release AND this.study = later.study AND this.registration < later.registration
"""
ISSUE_COLUMNS = ["path", "item", "code", "message", "participant_id", "visit", "is_refusal"]


class Issues:
    """The rows of raw.intake_issue that a release gives rise to."""

    def __init__(self, key: bytes):
        self._key = key
        self.frames: list[pd.DataFrame] = [pd.DataFrame(columns=ISSUE_COLUMNS)]

    def add_table(self, path: str, issues: pd.DataFrame, is_refusal: bool) -> None:
        """Add what was found in a table of the release."""
        self.frames.append(issues.assign(path=mask_path(path, self._key), is_refusal=is_refusal))

    def add(
        self, path: str, code: str, message: str, participant_id: str | None = None, is_refusal: bool = True
    ) -> None:
        """Add one issue."""
        row = {"code": code, "message": message, "participant_id": participant_id}
        self.add_table(path, pd.DataFrame([row]), is_refusal)

    def collect(self) -> pd.DataFrame:
        """All rows, without release."""
        return pd.concat(self.frames).reindex(columns=ISSUE_COLUMNS)


def mask_path(path: str, key: bytes) -> str:
    """Replace the parts of a release's path that follow no known pattern by a keyed hash."""
    return "/".join(
        part if KNOWN_PATH_PART.fullmatch(part) else f"h-{keyed_hash(part, key)[:12]}" for part in path.split("/")
    )


def keyed_hash(text: str, key: bytes) -> str:
    """HMAC-SHA256, hexadecimal."""
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


@dg.multi_asset(
    specs=[dg.AssetSpec(**describe_table(f"raw.{table}"), group_name="intake") for table in RAW_TABLES],
    partitions_def=releases,
    can_subset=False,
)
def intake(context: dg.AssetExecutionContext, warehouse: Warehouse):
    """Read every door of a release; what cannot be read is a row of raw.intake_issue, the rest goes on."""
    settings = load_settings()
    release = open_release(settings.releases, context.partition_key)
    key = settings.resolve_secret_key()
    issues = Issues(key)
    with warehouse.connect() as connection:
        register(connection, release)
        withdrawn_now = _read_door(release, "withdrawals.csv", participants.read_withdrawals, issues)
        forget(connection, settings.home, release, list(withdrawn_now["participant_id"]), key)
        withdrawn = _Withdrawn(connection, release.study, key)
        _take_in_tables(connection, release, withdrawn, issues)
        _take_in_profile_issues(connection, release, issues)
        _take_in_archives(context, connection, release, withdrawn, issues)
        with transaction(connection):
            connection.execute("DELETE FROM raw.intake_issue WHERE release = ?", [release.name])
            insert(connection, "raw.intake_issue", issues.collect().assign(release=release.name))
        connection.execute("CHECKPOINT")
        for table in RAW_TABLES:
            yield dg.MaterializeResult(
                asset_key=["raw", table], metadata={"dagster/row_count": count_rows(connection, f"raw.{table}")}
            )


def register(connection: duckdb.DuckDBPyConnection, release: Release) -> None:
    """Write the release's row, keeping the place in the order that it got when it was first taken in."""
    with transaction(connection):
        earlier = connection.execute(
            "SELECT registration FROM raw.release WHERE release = ?", [release.name]
        ).fetchone()
        (last,) = connection.execute("SELECT coalesce(max(registration), 0) FROM raw.release").fetchone()
        connection.execute("DELETE FROM raw.release WHERE release = ?", [release.name])
        row = {
            "release": release.name,
            "study": release.study,
            "registration": earlier[0] if earlier else last + 1,
            "fingerprint": release.fingerprint,
            "has_imaging": (release.folder / "imaging").is_dir(),
            "notes": release.notes,
            "registered_at": datetime.now(UTC).replace(tzinfo=None),
        }
        insert(connection, "raw.release", pd.DataFrame([row]))


def forget(connection: duckdb.DuckDBPyConnection, home: Path, release: Release, ids: list[str], key: bytes) -> None:
    """Remove withdrawn persons from all tables and derivatives, and leave keyed-hash tombstones, on disk as well."""
    tombstones = [keyed_hash(f"{release.study}/{participant_id}", key) for participant_id in ids]
    with transaction(connection):
        connection.execute("DELETE FROM raw.withdrawal WHERE release = ?", [release.name])
        frame = pd.DataFrame({"study": release.study, "participant_hmac": tombstones, "release": release.name})
        insert(connection, "raw.withdrawal", frame)
        for table in compile_catalog().tables.values() if ids else ():
            _forget_rows(connection, table, release.study, ids)
    for participant_id in ids:
        shutil.rmtree(home / derivative_folder(release.study, participant_id), ignore_errors=True)
    if tombstones:
        folder = home / "withdrawals"
        folder.mkdir(exist_ok=True)
        (folder / f"{release.name}.csv").write_text("\n".join(["participant_hmac", *tombstones, ""]))


def _forget_rows(connection: duckdb.DuckDBPyConnection, table: Table, study: str, ids: list[str]) -> None:
    columns = {column.name for column in table.columns}
    if "participant_id" not in columns:
        return
    of_study = (
        "study = $study" if "study" in columns else "release IN (SELECT release FROM raw.release WHERE study = $study)"
    )
    connection.execute(
        f"DELETE FROM {table.full_name} WHERE list_contains($ids, participant_id) AND {of_study}",
        {"ids": ids, "study": study},
    )


class _Withdrawn:
    """Membership in the tombstones of a study."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, study: str, key: bytes):
        rows = connection.execute("SELECT participant_hmac FROM raw.withdrawal WHERE study = ?", [study]).fetchall()
        self._tombstones, self._study, self._key = {row[0] for row in rows}, study, key

    def __contains__(self, participant_id: str) -> bool:
        return bool(self._tombstones) and keyed_hash(f"{self._study}/{participant_id}", self._key) in self._tombstones

    def drop_from(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows of persons who have not withdrawn."""
        if not self._tombstones:
            return rows
        left = {participant_id for participant_id in rows["participant_id"].unique() if participant_id in self}
        return rows[~rows["participant_id"].isin(left)]


def _read_door(
    release: Release, name: str, read: Callable[[Path], participants.CohortTable], issues: Issues
) -> pd.DataFrame:
    """A table of the release, empty where it is absent or unreadable."""
    path = release.folder / name
    empty = pd.DataFrame(columns=["participant_id", "measure"])
    if not path.is_file():
        return empty
    try:
        table = read(path)
    except participants.UnreadableTable as error:
        issues.add(name, "unreadable_table", str(error))
        return empty
    issues.add_table(name, table.issues, is_refusal=False)
    return table.rows


def _take_in_tables(
    connection: duckdb.DuckDBPyConnection, release: Release, withdrawn: _Withdrawn, issues: Issues
) -> None:
    measures = _known_units(connection, release, issues)
    readers = {"participant": participants.read_participants, "measurement": participants.read_measurements}
    for table, read in readers.items():
        name = f"{table}s.csv"
        rows = withdrawn.drop_from(_read_door(release, name, read, issues))
        if table == "measurement" and len(rows):
            rows = _drop_unknown_measures(rows, measures, name, issues)
        with transaction(connection):
            connection.execute(f"DELETE FROM raw.{table} WHERE release = ?", [release.name])
            insert(connection, f"raw.{table}", rows.assign(study=release.study, release=release.name))


def _known_units(connection: duckdb.DuckDBPyConnection, release: Release, issues: Issues) -> dict[str, str]:
    """Unit of every known measure: built in, declared by earlier releases, declared by this one."""
    known = pd.read_csv(SQL / "ref" / "measure.csv").set_index("measure")["unit"].to_dict()
    known |= dict(connection.execute("SELECT measure, unit FROM ref.measure").fetchall())
    declared = _read_door(release, "measures.csv", participants.read_measures, issues)
    return known | (declared.set_index("measure")["unit"].to_dict() if len(declared) else {})


def _drop_unknown_measures(rows: pd.DataFrame, units: dict[str, str], name: str, issues: Issues) -> pd.DataFrame:
    expected = rows["measure"].map(units)
    is_unknown, is_other_unit = expected.isna(), expected.notna() & (expected != rows["unit"])
    for measure in rows.loc[is_unknown, "measure"].unique():
        issues.add(name, "unknown_measure", f"Measure {measure} is not registered: declare it in measures.csv.")
    for measure in rows.loc[is_other_unit, "measure"].unique():
        issues.add(name, "other_unit", f"Measure {measure} must come in {units[measure]}: convert it.")
    return rows[~is_unknown & ~is_other_unit]


def are_profiles_readable(connection: duckdb.DuckDBPyConnection, path: Path) -> bool:
    """Whether a file is Parquet with the columns of the profiles door."""
    try:
        connection.execute(f"SELECT {', '.join(PROFILE_COLUMNS)} FROM read_parquet(?) LIMIT 0", [str(path)])
    except duckdb.Error:
        return False
    return True


def _take_in_profile_issues(connection: duckdb.DuckDBPyConnection, release: Release, issues: Issues) -> None:
    """The profiles themselves go straight into imaging.csa_profile with the release's measurement."""
    path = release.folder / PROFILES
    if not path.is_file():
        return
    if not are_profiles_readable(connection, path):
        issues.add(
            PROFILES, "unreadable_table", f"It is no Parquet file with the columns {', '.join(PROFILE_COLUMNS)}."
        )
        return
    (n_invalid,) = connection.execute(
        f"SELECT count(*) FROM read_parquet(?) WHERE ({VALID_PROFILE_ROW}) IS NOT TRUE", [str(path)]
    ).fetchone()
    if n_invalid:
        message = f"{n_invalid} rows have an unknown compartment or side, or no valid area or position: correct them."
        issues.add(PROFILES, "invalid_value", message)


def _take_in_archives(
    context: dg.AssetExecutionContext,
    connection: duckdb.DuckDBPyConnection,
    release: Release,
    withdrawn: _Withdrawn,
    issues: Issues,
) -> None:
    """Read the archives in worker processes; the rows of superseded deliveries stay as they are."""
    settings = load_settings()
    superseded = frozenset(connection.execute(SUPERSEDED, {"release": release.name}).fetchall())
    archives = release.archives
    withdrawn_stems = frozenset(stem for stem in (path.stem.split("_")[0] for path in archives) if stem in withdrawn)
    cases = [
        ArchiveCase(path, settings.home, release.study, release.name, superseded, withdrawn_stems) for path in archives
    ]
    frames = []
    for done, outcome in enumerate(engine.run(take_in, cases, settings.workers, ARCHIVE_DEADLINE_S), start=1):
        path = outcome.case.archive
        if outcome.code is None:
            frames.append(outcome.result)
        else:
            is_person_known = re.fullmatch(r"\d{6}(_\d+)?", path.stem) and outcome.code != "withdrawn"
            issues.add(
                str(path.relative_to(release.folder)),
                outcome.code,
                outcome.message,
                participant_id=path.stem.split("_")[0] if is_person_known else None,
                is_refusal=outcome.code not in ("withdrawn", "superseded"),
            )
        context.log.info(f"{release.name}: {done} of {len(cases)} archives, {outcome.code or 'taken in'}")
    rows = pd.concat(frames) if frames else pd.DataFrame()
    with transaction(connection):
        connection.execute(
            f"DELETE FROM raw.dixon_series WHERE release = $release AND (participant_id, visit) NOT IN ({SUPERSEDED})",
            {"release": release.name},
        )
        insert(connection, "raw.dixon_series", rows.assign(study=release.study, release=release.name))
