"""Short phantoms stored as intake leaves them, for tests of the segmentation."""

from dataclasses import replace
from pathlib import Path

import duckdb
import pandas as pd

from dagster_project.case_work import ImageCase
from dagster_project.warehouse import insert
from models.imaging.dixon import CONTRASTS
from models.imaging.nifti import combined_sha256, write_volume
from models.imaging.phantom import REDUCED_GRID, Person, render

SHORT, THIN = slice(40, 76), slice(40, 60)
MODEL = "phantom-v1"


def store(home: Path, name: str, seed: int, slices: slice = SHORT) -> ImageCase:
    """Store some slices of a phantom, all four muscles among them; the model of one fold is the quickest."""
    dixon = render(Person(name, "F", 40, 168.0, 68.0), seed).dixon
    case = ImageCase(home, "synthetic", name, "30", "", 0, MODEL, "cpu", "bfloat16")
    (home / case.folder).mkdir(parents=True)
    hashes = {
        c: write_volume(home / case.folder / f"{c}.nii.gz", dixon.volumes[c][:, :, slices], dixon.affine, {})
        for c in CONTRASTS
    }
    return replace(case, image_sha256=combined_sha256(hashes))


def mask_file(case: ImageCase) -> Path:
    """Where the case's mask goes."""
    return case.home / case.folder / f"{MODEL}_dseg.nii.gz"


def register_images(connection: duckdb.DuckDBPyConnection, release: str, hashes: dict[str, dict[str, str]]) -> None:
    """Enter images as intake does: participant -> contrast -> image hash."""
    facts = {"study": "synthetic", "visit": "30", "release": release, "orientation": "RAS", "n_instances": 36}
    facts |= {"nifti_path": "x", "shape": [106, 86, 36], "spacing": list(REDUCED_GRID.spacing_mm)}
    rows = [
        facts | {"participant_id": participant_id, "contrast": contrast, "image_sha256": image_hash}
        for participant_id, of_contrasts in hashes.items()
        for contrast, image_hash in of_contrasts.items()
    ]
    insert(connection, "raw.dixon_series", pd.DataFrame(rows))
    row = {"study": "synthetic", "release": release, "registration": 1, "fingerprint": "x", "has_imaging": True}
    insert(connection, "raw.release", pd.DataFrame([row | {"registered_at": pd.Timestamp("2026-01-01")}]))
