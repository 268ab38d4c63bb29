"""Manual correction: a case as a work package for 3D Slicer, and the corrected mask on its way back.

What belongs here: the package, checking and storing a corrected mask. Measuring and judging them is what is done with
any mask (`case_work`). `make correct CASE=<study>/<participant>/<visit>` writes a package; the next update takes back what lies in it as
corrected.nii.gz, under a model version of its own.
"""

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np

from dagster_project.case_work import derivative_folder
from dagster_project.review_files import CORRECTED, RECORD, CorrectedCase
from dagster_project.settings import Settings, load_settings
from models.imaging.nifti import CorruptVolume, read_image_sha256, read_volume, write_volume
from models.imaging.nifti_set import read_nifti
from models.segmentation.annotation import check_annotation
from models.segmentation.inference import open_model
from models.segmentation.work_package import write_colour_table, write_correction_guide

# Beside those of annotated masks (models.segmentation.annotation).
CORRECTION_ISSUES = {
    "original_changed": "The images or the mask were replaced since the export: run make correct again and correct anew.",
    "unchanged_mask": "The corrected mask is the one that was handed out: save the correction, or remove the package.",
}


class NoCase(ValueError):
    """A case that cannot be exported; the message says why."""


class CorrectionRefused(ValueError):
    """A corrected mask that cannot be used; `code` is one of `CORRECTION_ISSUES`."""

    def __init__(self, code: str):
        super().__init__(code)
        self.code, self.message = code, CORRECTION_ISSUES[code]


@dataclass(frozen=True)
class StoredCorrection:
    """A checked and written corrected mask."""

    mask_sha256: str
    dice_to_original: float


def write_package(study: str, participant_id: str, visit: str) -> Path:
    """Write the package of a case: four contrasts, the mask in force to start from, colours, guide; returns its folder.

    Raises
    ------
    NoCase
        If the case has no mask of the model in force, or its package exists.
    """
    settings = load_settings()
    model_version = open_model(settings.model).model_version
    row = _find_mask(settings, study, participant_id, visit, model_version)
    folder = settings.home / "work_packages" / f"corrections_{study.replace(' ', '-')}" / f"{participant_id}_{visit}"
    if folder.exists():
        raise NoCase(f"The package {folder.relative_to(settings.home)} exists: correct that, or remove it.")
    building = folder.with_name(f".{folder.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    image_sha256, mask_path, mask_sha256 = row
    for path in sorted((settings.home / mask_path).parent.glob("*.nii.gz")):
        if path.name in ("in.nii.gz", "opp.nii.gz", "fat.nii.gz", "water.nii.gz"):
            shutil.copy2(path, building)
    shutil.copy2(settings.home / mask_path, building / "mask.nii.gz")
    write_colour_table(building)
    write_correction_guide(building)
    record = {"study": study, "participant_id": participant_id, "visit": visit, "model_version": model_version}
    record |= {"image_sha256": image_sha256, "original_mask_sha256": mask_sha256}
    (building / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    os.replace(building, folder)
    return folder


def _find_mask(settings: Settings, study: str, participant_id: str, visit: str, model_version: str) -> tuple[str, ...]:
    if not settings.warehouse_file.is_file():
        raise NoCase("There is no warehouse yet: run make update first.")
    with duckdb.connect(str(settings.warehouse_file), read_only=True) as connection:
        row = connection.execute(
            "SELECT image_sha256, mask_path, mask_sha256 FROM imaging.segmentation"
            " WHERE (study, participant_id, visit, model_version) = (?, ?, ?, ?) AND status = 'done'",
            [study, participant_id, visit, model_version],
        ).fetchone()
    if row is None:
        raise NoCase(f"The case has no mask of {model_version}: name it as <study>/<participant>/<visit>.")
    return row


def corrected_mask_path(case: CorrectedCase) -> Path:
    """Where the corrected mask is stored, relative to MYONORM_HOME."""
    folder = derivative_folder(case.study, case.participant_id, case.visit)
    return folder / f"{case.corrected_version}_dseg.nii.gz"


def take_in_correction(case: CorrectedCase) -> StoredCorrection:
    """Check a corrected mask against the images and the mask it was made from, and store it.

    Raises
    ------
    AnnotationRefused, Refusal
        As `check_annotation` and `read_nifti`.
    CorrectionRefused
        If the original is no longer what was handed out, or nothing was corrected.
    """
    folder = case.home / derivative_folder(case.study, case.participant_id, case.visit)
    original_path = folder / f"{case.model_version}_dseg.nii.gz"
    if not original_path.is_file() or read_image_sha256(original_path) != case.original_mask_sha256:
        raise CorrectionRefused("original_changed")
    original, _ = read_volume(original_path)
    in_phase, affine = read_volume(folder / "in.nii.gz")
    mask, mask_affine = read_nifti((case.folder / CORRECTED).read_bytes())
    labels, _ = check_annotation(mask, mask_affine, in_phase, affine)
    if np.array_equal(labels, original):
        raise CorrectionRefused("unchanged_mask")
    provenance = {
        "study": case.study,
        "model_version": case.corrected_version,
        "source_sha256": case.image_sha256,
        "original_mask_sha256": case.original_mask_sha256,
        "corrected_by_hand": True,
    }
    sha256 = write_volume(case.home / corrected_mask_path(case), labels, affine, provenance)
    return StoredCorrection(sha256, dice_of_all(original, labels))


def dice_of_all(one: np.ndarray, other: np.ndarray) -> float:
    """Dice over all labels together: 2 |same label in both| / (|one| + |other|)."""
    same = np.count_nonzero((one == other) & (one > 0))
    return 2 * same / (np.count_nonzero(one) + np.count_nonzero(other))


def main() -> int:
    """Command line: <study>/<participant>/<visit>."""
    parts = sys.argv[1].split("/") if len(sys.argv) == 2 else []
    try:
        if len(parts) != 3:
            raise NoCase("Name the case as <study>/<participant>/<visit>.")
        folder = write_package(*parts)
    except (NoCase, CorruptVolume, OSError) as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    print(
        f"{folder}\nOpen it in 3D Slicer as its README.md says, save {CORRECTED} there, then run: make update RELEASE=<name>"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
