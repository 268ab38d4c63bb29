"""Short phantoms stored as intake leaves them, for tests of the segmentation."""

from dataclasses import replace
from pathlib import Path

from dagster_project.case_work import ImageCase
from models.imaging.dixon import CONTRASTS
from models.imaging.nifti import combined_sha256, write_volume
from models.imaging.phantom import Grid, Person, render

SHORT_GRID = Grid((106, 86, 36), (4.21875, 4.21875, 6.0))
MODEL = "phantom-v1"


def store(home: Path, name: str, seed: int) -> ImageCase:
    """Store a short phantom; the model of one fold is the quickest."""
    dixon = render(Person(name, "F", 40, 168.0, 68.0), seed, SHORT_GRID).dixon
    case = ImageCase(home, "synthetic", name, "30", "", 0, MODEL, "cpu", "bfloat16")
    (home / case.folder).mkdir(parents=True)
    hashes = {
        c: write_volume(home / case.folder / f"{c}.nii.gz", dixon.volumes[c], dixon.affine, {}) for c in CONTRASTS
    }
    return replace(case, image_sha256=combined_sha256(hashes))


def mask_file(case: ImageCase) -> Path:
    """Where the case's mask goes."""
    return case.home / case.folder / f"{MODEL}_dseg.nii.gz"
