"""Releases as partitions, the two jobs that process them, and what all assets share.

What belongs here: partitions, jobs, resources, executor, and recognising what a release folder holds. Reading its content
belongs to `ingest.py`.
"""

import hashlib
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from dagster_project.warehouse import Warehouse
from models.imaging.layout import LAYOUTS

releases = dg.DynamicPartitionsDefinition(name="release")
RELEASE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
COMPLETE_MARKER = "_COMPLETE"
STUDY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,63}")


class UnusableRelease(ValueError):
    """A release that cannot be processed at all; the message says what to do."""


@dataclass(frozen=True)
class Release:
    """A delivery on disk: what release.toml says, and a fingerprint of the names, sizes and times of its files."""

    folder: Path
    name: str
    study: str
    notes: str | None
    layout: str | None
    columns: dict[str, str]
    fingerprint: str


def open_release(releases_folder: Path, name: str) -> Release:
    """Look at a release without reading its tables or images.

    Raises
    ------
    UnusableRelease
        If there is no such folder, or its name or release.toml is not acceptable.
    """
    folder = releases_folder / name
    if not RELEASE_NAME.fullmatch(name) or not folder.is_dir():
        raise UnusableRelease("There is no such release: name a folder under releases/, of letters, digits, - and _.")
    settings = {}
    if (folder / "release.toml").is_file():
        try:
            settings = tomllib.loads((folder / "release.toml").read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UnusableRelease("release.toml is not valid TOML: correct it.") from error
    study, layout, columns = settings.get("study", "cohort"), settings.get("layout"), settings.get("columns", {})
    if not isinstance(study, str) or not STUDY_NAME.fullmatch(study):
        raise UnusableRelease("The study in release.toml must be letters, digits, spaces, - and _: correct it.")
    if layout not in (None, *LAYOUTS):
        raise UnusableRelease(f"The layout in release.toml must be one of {', '.join(LAYOUTS)}: correct it.")
    if not isinstance(columns, dict) or not all(isinstance(name, str) for name in columns.values()):
        raise UnusableRelease("[columns] in release.toml must map column names to delivered names: correct it.")
    notes = settings.get("notes")
    return Release(
        folder, name, study, notes if isinstance(notes, str) else None, layout, columns, _fingerprint(folder)
    )


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / COMPLETE_MARKER):
        status = path.stat()
        digest.update(f"{path.relative_to(folder)}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


_per_release = dg.AssetSelection.groups("intake", "imaging")
COHORT = dg.AssetSelection.all() - _per_release - dg.AssetSelection.groups("training")

release_update = dg.define_asset_job(
    "release_update",
    selection=_per_release - dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey(["raw", "dixon_series"]), "intact")),
    description="Take a release in, segment its images, measure the masks: costs what is new.",
)
cohort_update = dg.define_asset_job(
    "cohort_update",
    selection=COHORT,
    description="Marts, statistics, norms and a published snapshot of everything taken in.",
)


verify_derivatives = dg.define_asset_job(
    "verify_derivatives",
    selection=dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey(["raw", "dixon_series"]), "intact")),
    description="Read every stored volume and mask in full and compare it with its hashes.",
)


@dg.definitions
def shared() -> dg.Definitions:
    """Jobs, the warehouse, and the in-process executor: one process writes DuckDB."""
    return dg.Definitions(
        jobs=[release_update, cohort_update, verify_derivatives],
        resources={"warehouse": Warehouse()},
        executor=dg.in_process_executor,
    )
