"""What a worker process does with an annotated case: check and store a mask, score a mask against it.

No Dagster and no DuckDB here: as in `case_work.py`, each function reads verified files, writes files atomically, and returns
a small result for the driver to store.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from models.imaging.dixon import CONTRASTS, DixonSet
from models.imaging.nifti import CorruptVolume, combined_sha256, read_image_sha256, read_volume, write_volume
from models.imaging.nifti_set import read_nifti
from models.segmentation.anatomy import LABELS
from models.segmentation.annotation import check_annotation
from models.segmentation.evaluation import score_case
from models.segmentation.inference import Segmenter, choose_device, open_model
from models.segmentation.validation import choose_fold, compare_measures


@dataclass(frozen=True)
class DeliveredAnnotation:
    """A delivered mask, the in-phase contrast it belongs to, and where it goes (relative to MYONORM_HOME)."""

    home: Path
    delivered: Path
    in_phase: Path
    destination: Path
    provenance: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class StoredAnnotation:
    """A checked and written mask: its hash, that of the image it was checked against, whether all labels are there."""

    annotation_sha256: str
    image_sha256: str
    has_all_labels: bool


def take_in_annotation(annotation: DeliveredAnnotation) -> StoredAnnotation:
    """Check a delivered mask against the stored images and store it.

    Raises
    ------
    AnnotationRefused
        As `check_annotation`.
    Refusal
        If the file is no NIfTI volume (`read_nifti`).
    CorruptVolume
        If the stored image is not what was written.
    """
    mask, affine = read_nifti(annotation.delivered.read_bytes())
    in_phase, image_affine = read_volume(annotation.home / annotation.in_phase)
    labels, has_all_labels = check_annotation(mask, affine, in_phase, image_affine)
    image_sha256 = read_image_sha256(annotation.home / annotation.in_phase)
    provenance = dict(annotation.provenance) | {"source_sha256": image_sha256}
    sha256 = write_volume(annotation.home / annotation.destination, labels, image_affine, provenance)
    return StoredAnnotation(sha256, image_sha256, has_all_labels)


@dataclass(frozen=True)
class ValidationCase:
    """A mask to compare with a reference annotation; paths are relative to MYONORM_HOME.

    `tested_path` None: the mask is first predicted by `fold` of `model`, the fold that did not see the case.
    """

    home: Path
    folder: Path
    annotation_path: Path
    tested_path: Path | None
    image_sha256: str
    is_measured: bool
    model: str
    fold: int | None
    device: str


@dataclass(frozen=True)
class Validation:
    """Rows of imaging.segmentation_score and imaging.agreement_pair of one case, without their keys."""

    scores: pd.DataFrame
    pairs: pd.DataFrame


def validate(case: ValidationCase) -> Validation:
    """Score the mask under test; where it is a model's, measure both masks as well.

    Raises
    ------
    CorruptVolume
        If a stored file is not what was written.
    """
    truth, affine = read_volume(case.home / case.annotation_path)
    tested, _ = read_volume(case.home / (case.tested_path or _predict_out_of_fold(case)))
    scores = score_case(tested, truth, tuple(np.linalg.norm(affine[:3, :3], axis=0)))
    voxel_ml = abs(np.linalg.det(affine[:3, :3])) / 1000
    scores["volume_ml"] = [(truth == value).sum() * voxel_ml for value in LABELS.values()]
    if not case.is_measured:
        return Validation(scores, pd.DataFrame())
    return Validation(scores, compare_measures(tested, truth, _read_dixon(case)))


def _predict_out_of_fold(case: ValidationCase) -> Path:
    segmenter, model_version = _load_fold(case.model, case.fold, case.device)
    path = case.folder / f"{model_version}_fold-{case.fold}_dseg.nii.gz"
    dixon = _read_dixon(case)
    provenance = {"model_version": model_version, "fold": case.fold, "source_sha256": case.image_sha256}
    write_volume(case.home / path, segmenter.segment(dixon), dixon.affine, provenance)
    return path


@lru_cache(maxsize=1)
def _load_fold(model_name: str, fold: int, wanted_device: str) -> tuple[Segmenter, str]:
    import torch

    torch.set_num_threads(1)
    model = open_model(model_name)
    return Segmenter(choose_fold(model, fold), choose_device(wanted_device)), model.model_version


def _read_dixon(case: ValidationCase) -> DixonSet:
    paths = {contrast: case.home / case.folder / f"{contrast}.nii.gz" for contrast in CONTRASTS}
    if combined_sha256({contrast: read_image_sha256(path) for contrast, path in paths.items()}) != case.image_sha256:
        raise CorruptVolume("The stored volumes are not those of the manifest; take the release in again.")
    images = {contrast: read_volume(path) for contrast, path in paths.items()}
    return DixonSet({contrast: voxels for contrast, (voxels, _) in images.items()}, images["in"][1])
