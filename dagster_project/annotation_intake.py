"""The annotations door of a release: masks that readers drew, checked against the stored images, into raw.annotation.

What belongs here: which file belongs to which row, what is new, the rows. The checks are `models.segmentation.annotation`'s,
run by `validation_work.take_in_annotation`.
"""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import duckdb
import pandas as pd

from dagster_project import engine
from dagster_project.case_work import derivative_folder
from dagster_project.cohort_intake import UNREADABLE
from dagster_project.defs.releases import Release
from dagster_project.identity import Identity, is_pseudonym
from dagster_project.imaging_intake import MESSAGES
from dagster_project.intake_issue import Issues
from dagster_project.settings import Settings
from dagster_project.validation_work import DeliveredAnnotation, take_in_annotation
from dagster_project.warehouse import insert, transaction
from dagster_project.withdrawal import Withdrawn
from models.segmentation.annotation import ANNOTATION_ISSUES, NAME
from models.statistics.participants import UnreadableTable, read_annotations

FOLDER, TABLE = "annotations", "annotations.csv"
KEY = ("participant_id", "visit", "reader", "reading")
DEADLINE_S = 600


class AnnotationDoor:
    """The annotations of one release on their way into the warehouse."""

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
        self._images = {
            (participant_id, visit): sha256
            for participant_id, visit, sha256 in connection.execute(
                "SELECT participant_id, visit, image_sha256 FROM raw.current_dixon_series"
                " WHERE study = ? AND contrast = 'in'",
                [release.study],
            ).fetchall()
        }

    def take_in(self, report: Callable[[str], None]) -> None:
        """Replace the release's rows of raw.annotation; masks that were stored before and lie unchanged are not opened."""
        stored = self._list_stored()
        kept, pending = [], {}
        for row in self._match_files(self._read_table()):
            earlier = stored.get((row["fingerprint"], row["image_sha256"]))
            if earlier and (self._settings.home / earlier["annotation_path"]).is_file():
                kept.append(row | earlier)
            else:
                pending[self._deliver(row)] = row
        outcomes = engine.open_engine(self._settings).run(take_in_annotation, pending, DEADLINE_S)
        for done, outcome in enumerate(outcomes, start=1):
            row = pending[outcome.case]
            report(f"{self._release.name}: {done} of {len(pending)} annotations, {outcome.code or 'taken in'}")
            if outcome.code:
                self._issues.add(row["path"], outcome.code, outcome.message, row["delivered_id"], row["visit"])
            else:
                kept.append(row | asdict(outcome.result) | {"annotation_path": str(outcome.case.destination)})
        for row in kept:
            if not row["has_all_labels"]:
                self._add(row["path"], "missing_label", row["delivered_id"], row["visit"], is_refusal=False)
        self._store(kept)

    def _read_table(self) -> pd.DataFrame:
        """Rows of annotations.csv of persons who have not withdrawn, by the mask's file name."""
        path = self._release.folder / TABLE
        empty = pd.DataFrame(columns=[*KEY, "role", "is_blinded", "annotated_on"])
        if not path.is_file():
            return empty
        try:
            table = read_annotations(path)
        except UnreadableTable as error:
            self._issues.add(TABLE, UNREADABLE, str(error))
            return empty
        self._issues.add_table(TABLE, table.issues)
        return self._withdrawn.drop_from(table.rows)

    def _match_files(self, table: pd.DataFrame) -> list[dict]:
        """Rows that have a mask and images; every file and row without the other is an issue."""
        files = {path.name: path for path in sorted((self._release.folder / FOLDER).glob("*")) if path.is_file()}
        matched = []
        for row in table.astype(object).where(table.notna(), None).to_dict("records"):
            name = "{participant_id}_{visit}_{reader}-{reading}.nii.gz".format(**row)
            file = files.pop(name, None)
            delivered_id, visit = row["participant_id"], row["visit"]
            stored_id = self._identity.pseudonym(delivered_id)
            image = self._images.get((stored_id, visit))
            if file is None:
                self._add(TABLE, "annotation_without_mask", delivered_id, visit)
            elif image is None:
                self._add(f"{FOLDER}/{name}", "annotation_without_images", delivered_id, visit)
            else:
                facts = {"path": f"{FOLDER}/{name}", "delivered_id": delivered_id, "participant_id": stored_id}
                facts |= {"image_sha256": image, "fingerprint": self._fingerprint(file)}
                matched.append(row | facts)
        for name in files:
            self._add_stray(name)
        return matched

    def _add_stray(self, name: str) -> None:
        parts = NAME.fullmatch(name)
        delivered_id = parts["participant_id"] if parts else None
        if delivered_id in self._withdrawn:
            self._issues.add(f"{FOLDER}/{name}", "withdrawn", MESSAGES["withdrawn"], is_refusal=False, is_secret=True)
        else:
            self._add(
                f"{FOLDER}/{name}", "annotation_without_row", delivered_id if is_pseudonym(delivered_id) else None
            )

    def _deliver(self, row: dict) -> DeliveredAnnotation:
        folder = derivative_folder(self._release.study, row["participant_id"], row["visit"])
        name = f"{self._release.name}_{row['reader']}-{row['reading']}_annotation.nii.gz"
        return DeliveredAnnotation(
            self._settings.home,
            self._release.folder / row["path"],
            folder / "in.nii.gz",
            folder / name,
            (("study", self._release.study), ("release", self._release.name), ("reader", row["reader"])),
        )

    def _list_stored(self) -> dict[tuple[str, str], dict]:
        """What is known of the release's masks, by fingerprint of the file and hash of the image they were checked against."""
        columns = ["fingerprint", "image_sha256", "annotation_path", "annotation_sha256", "has_all_labels"]
        rows = self._connection.execute(
            f"SELECT {', '.join(columns)} FROM raw.annotation WHERE release = ?", [self._release.name]
        ).fetchall()
        return {row[:2]: dict(zip(columns, row, strict=True)) for row in rows}

    def _store(self, rows: list[dict]) -> None:
        frame = pd.DataFrame(rows).drop(columns=["path", "delivered_id"], errors="ignore")
        with transaction(self._connection):
            self._connection.execute("DELETE FROM raw.annotation WHERE release = ?", [self._release.name])
            insert(
                self._connection,
                "raw.annotation",
                frame.assign(study=self._release.study, release=self._release.name),
            )

    def _add(self, path: str, code: str, delivered_id: str | None, visit: str | None = None, is_refusal: bool = True):
        self._issues.add(path, code, ANNOTATION_ISSUES[code], delivered_id, visit, is_refusal)

    def _fingerprint(self, file: Path) -> str:
        status = file.stat()
        return self._identity.hash(f"{file.name}\0{status.st_size}\0{status.st_mtime_ns}")
