"""What a worker process does with an annotated case: check and store a mask, score a mask against it.

No Dagster and no DuckDB here: as in `case_work.py`, each function reads verified files, writes files atomically, and returns
a small result for the driver to store.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from dagster_project.case_work import ImageCase, read_dixon
from models.imaging.nifti import read_image_sha256, read_volume, write_volume
from models.imaging.nifti_set import read_nifti
from models.segmentation.annotation import check_annotation
from models.segmentation.evaluation import score_case
from models.segmentation.geometry import check_geometry
from models.segmentation.inference import Model, Segmenter, choose_device, open_model
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

    `tested_path` None: the mask is first predicted by `fold` of the model, the fold that did not see the case.
    """

    image: ImageCase
    annotation_path: Path
    tested_path: Path | None
    is_measured: bool
    fold: int | None


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
    GeometryRefused
        If the model was not made for the images' grid.
    """
    home = case.image.home
    truth, affine = read_volume(home / case.annotation_path)
    tested, _ = read_volume(home / (case.tested_path or _predict_out_of_fold(case.image, case.fold)))
    scores = score_case(tested, truth, tuple(np.linalg.norm(affine[:3, :3], axis=0)))
    pairs = compare_measures(tested, truth, affine) if case.is_measured else pd.DataFrame()
    return Validation(scores, pairs)


def _predict_out_of_fold(image: ImageCase, fold: int) -> Path:
    """Segment as the cohort is segmented, but for the other folds."""
    model, segmenter = _load_fold(image.model, fold, image.device, image.precision, image.threads)
    path = image.folder / f"{model.model_version}_fold-{fold}_dseg.nii.gz"
    dixon = read_dixon(image)
    check_geometry(dixon.volumes["in"].shape, dixon.affine, model.geometry)
    provenance = {"model_version": model.model_version, "fold": fold, "precision": image.precision}
    provenance |= {"source_sha256": image.image_sha256}
    write_volume(image.home / path, segmenter.segment(dixon), dixon.affine, provenance)
    return path


@lru_cache(maxsize=1)
def _load_fold(model_name: str, fold: int, wanted_device: str, precision: str, threads: int) -> tuple[Model, Segmenter]:
    import torch

    torch.set_num_threads(threads)
    model = choose_fold(open_model(model_name), fold)
    return model, Segmenter(model, choose_device(wanted_device), precision)
