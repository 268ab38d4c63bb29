"""What a worker process does with one case: take it in, segment it, measure it. No Dagster and no DuckDB here.

Each function reads verified files, writes files atomically, and returns a small result for the driver to store.
"""

import json
import os
import time
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from dagster_project.identity import Identity
from dagster_project.turns import Turn
from models.imaging.dixon import CONTRASTS, DixonSet
from models.imaging.intake import read_case
from models.imaging.layout import Case
from models.imaging.nifti import (
    CorruptVolume,
    combined_sha256,
    read_image_sha256,
    read_volume,
    sidecar_path,
    write_contrasts,
    write_file,
    write_volume,
)
from models.measurement import morphometry, overlay, quality
from models.segmentation.geometry import check_geometry
from models.segmentation.inference import TILE_STEP, Model, Segmenter, choose_device, choose_precision, open_model


@dataclass(frozen=True)
class DeliveredCase:
    """A participant's visit as delivered, where its volumes go, how ids are stored, what later releases deliver."""

    case: Case
    home: Path
    study: str
    release: str
    superseded: frozenset[tuple[str, str]]
    identity: Identity


@dataclass(frozen=True)
class ImageCase:
    """A participant and visit whose images lie under MYONORM_HOME, and the model to use and how."""

    home: Path
    study: str
    participant_id: str
    visit: str
    image_sha256: str
    attempts: int
    model: str
    device: str
    precision: str = "float32"
    is_low_memory: bool = False
    threads: int = 1

    @property
    def folder(self) -> Path:
        """Folder of the case's derivatives, relative to MYONORM_HOME."""
        return derivative_folder(self.study, self.participant_id, self.visit)


def derivative_folder(study: str, participant_id: str, visit: str = "") -> Path:
    """Folder of a participant's (and visit's) derivatives, relative to MYONORM_HOME."""
    return Path("derivatives") / study / participant_id / visit


def take_in(case: DeliveredCase) -> pd.DataFrame:
    """Delivery -> four stored volumes; returns their rows of raw.dixon_series without study and release.

    Raises
    ------
    Refusal
        As `read_case`.
    Excluded
        If a later release has replaced this delivery.
    """
    delivery = read_case(case.case)
    participant_id = case.identity.pseudonym(delivery.patient_id)
    if (participant_id, delivery.visit) in case.superseded:
        raise Excluded("superseded", "A release registered later delivers this participant and visit.")
    folder = derivative_folder(case.study, participant_id, delivery.visit)
    (case.home / folder).mkdir(parents=True, exist_ok=True)
    facts = {contrast: asdict(delivery.facts[contrast]) for contrast in CONTRASTS}
    provenance = {
        contrast: {"study": case.study, "release": case.release, "contrast": contrast, **facts[contrast]}
        for contrast in CONTRASTS
    }
    hashes = write_contrasts(case.home / folder, delivery.dixon, provenance)
    rows = [
        {
            "contrast": contrast,
            "image_sha256": hashes[contrast],
            "nifti_path": str(folder / f"{contrast}.nii.gz"),
            **facts[contrast],
        }
        for contrast in CONTRASTS
    ]
    affine = delivery.dixon.affine
    return pd.DataFrame(rows).assign(
        participant_id=participant_id,
        visit=delivery.visit,
        shape=[list(delivery.dixon.volumes[CONTRASTS[0]].shape)] * len(rows),
        spacing=[[float(step) for step in np.linalg.norm(affine[:3, :3], axis=0)]] * len(rows),
        orientation="".join(nib.aff2axcodes(affine)),
    )


class Excluded(Exception):
    """A delivery that is rightly left out; the code is no fault of the delivery."""

    def __init__(self, code: str, message: str):
        super().__init__(code, message)
        self.code, self.message = code, message


@dataclass(frozen=True)
class StoredMask:
    """A written mask: path relative to MYONORM_HOME, hash, seconds of work (waiting for a turn left out), device."""

    mask_path: str
    mask_sha256: str
    seconds: float
    device: str


def segment(case: ImageCase) -> StoredMask:
    """Verified volumes -> label map, stored beside them with its provenance.

    The network waits for its turn: as many run at a time as there are cores for, or one on a GPU.

    Raises
    ------
    CorruptVolume
        If a stored volume is not what was written.
    GeometryRefused
        If the model was not made for the images' grid.
    MemoryError
        If the case does not fit into memory.
    """
    started = time.monotonic()
    model, segmenter, device = _load_segmenter(
        case.model, case.device, case.precision, case.is_low_memory, case.threads
    )
    dixon = read_dixon(case)
    check_geometry(dixon.volumes["in"].shape, dixon.affine, model.geometry)
    turn = Turn(count_turns(device, case.threads))
    labels = segmenter.segment(dixon, turn=turn)
    path = case.folder / f"{model.model_version}_dseg.nii.gz"
    _remove_leftovers(case.home / path)
    provenance = {
        "study": case.study,
        "model_version": model.model_version,
        "model_sha256": model.manifest_sha256,
        "source_sha256": case.image_sha256,
        "device": device,
        "precision": case.precision,
        "options": {
            "tile_step": TILE_STEP,
            "mirroring": False,
            "low_memory": case.is_low_memory,
            "min_component_ml": model.min_component_ml,
        },
        "fold_disagreement_pct": segmenter.fold_disagreement_pct,
        "versions": {package: version(package) for package in ("torch", "nnunetv2", "numpy", "scipy")},
        "seconds": round(time.monotonic() - started - turn.waited_s, 3),
    }
    sha256 = write_volume(case.home / path, labels, dixon.affine, provenance)
    return StoredMask(str(path), sha256, time.monotonic() - started - turn.waited_s, device)


def _remove_leftovers(path: Path) -> None:
    """Remove what a process that was killed in mid-writing has left beside a volume and its sidecar."""
    for leftover in path.parent.glob(f".{path.name.removesuffix('.nii.gz')}.*.tmp"):
        leftover.unlink(missing_ok=True)


def count_turns(device: str, threads: int) -> int:
    """Networks that run at a time: one on a GPU, else as many as there are cores for their threads."""
    return 1 if device == "cuda" else max(1, len(os.sched_getaffinity(0)) // threads)


def probe_precision(case: ImageCase) -> str:
    """The quickest number format of the network that gives float32's labels on the case."""
    import torch

    torch.set_num_threads(case.threads)
    return choose_precision(open_model(case.model), choose_device(case.device), read_dixon(case))


@lru_cache(maxsize=1)
def _load_segmenter(
    model_name: str, wanted_device: str, precision: str, is_low_memory: bool, threads: int
) -> tuple[Model, Segmenter, str]:
    import torch

    torch.set_num_threads(threads)
    model, device = open_model(model_name), choose_device(wanted_device)
    return model, Segmenter(model, device, precision, is_low_memory), device


def measure(case: ImageCase) -> morphometry.Morphometry:
    """Verified mask, fat and water -> rows of imaging.csa_profile and imaging.muscle, without their keys.

    Raises
    ------
    CorruptVolume
        If a stored file is not what was written.
    """
    labels, affine = _read_mask(case)
    signals = _read_contrasts(case, ("fat", "water"))
    return morphometry.measure(labels, affine, **{contrast: voxels for contrast, (voxels, _) in signals.items()})


@dataclass(frozen=True)
class QualityCase:
    """A measured case to be judged, with the covariates that its size is compared with, and the limits in force."""

    image: ImageCase
    sex: str | None
    height_cm: float | None
    weight_kg: float | None
    thresholds: dict[str, quality.Threshold]
    labels: dict[str, str]
    corrects_swaps: bool


@dataclass(frozen=True)
class Inspection:
    """Verdicts of a case (`quality.judge`), and the new image hashes of water and fat where a whole swap was undone."""

    checks: pd.DataFrame
    corrected: dict[str, str] | None


def inspect(case: QualityCase) -> Inspection:
    """Verified mask and volumes -> verdicts, and the overlay figure beside them.

    Raises
    ------
    CorruptVolume
        If a stored file is not what was written.
    """
    labels, affine = _read_mask(case.image)
    dixon = read_dixon(case.image)
    measured = morphometry.measure(labels, affine, dixon.volumes["fat"], dixon.volumes["water"])
    findings, evidence = quality.check_image(dixon)
    findings |= quality.check_mask(labels, measured)
    findings |= quality.check_folds(_read_mask_sidecar(case.image).get("fold_disagreement_pct"))
    findings |= quality.check_outcome(measured, case.sex, case.height_cm, case.weight_kg)
    checks = quality.judge(findings, case.thresholds)
    lines = quality.describe_verdicts(checks, case.labels)
    is_synthetic = case.image.study == "synthetic"
    title = "synthetic: invented data, no real person" if is_synthetic else case.image.study
    figure = overlay.draw_overlay(
        labels, dixon.volumes["water"], affine, measured.profile, lines, f"{title} · {case.image.model}"
    )
    _write_figure(case.image, figure)
    is_whole_swap = evidence.swapped_pct > quality.WHOLE_SWAP_PCT
    return Inspection(checks, _exchange(case.image, dixon) if is_whole_swap and case.corrects_swaps else None)


def _write_figure(case: ImageCase, figure: overlay.Overlay) -> None:
    """The figure, and beside it which mask it shows and where its words begin."""
    path = case.home / case.folder / f"{case.model}_overlay.webp"
    mask_sha256 = read_image_sha256(case.home / case.folder / f"{case.model}_dseg.nii.gz")
    facts = {"study": case.study, "mask_sha256": mask_sha256, "pictures_height_px": figure.pictures_height_px}
    write_file(path, figure.webp)
    write_file(path.with_suffix(".json"), json.dumps(facts, indent=1).encode())


def _exchange(case: ImageCase, dixon: DixonSet) -> dict[str, str]:
    """Exchange the stored water and fat; returns their image hashes.

    Water is absent until both are written: a crash in between makes the next intake read the delivery again.
    """
    paths = {contrast: case.home / case.folder / f"{contrast}.nii.gz" for contrast in ("water", "fat")}
    facts = {contrast: json.loads(sidecar_path(path).read_bytes()) for contrast, path in paths.items()}
    paths["water"].unlink()
    hashes = {}
    for contrast, source in (("fat", "water"), ("water", "fat")):
        provenance = {**facts[contrast], "swap_corrected": True}
        hashes[contrast] = write_volume(paths[contrast], dixon.volumes[source], dixon.affine, provenance)
    return hashes


def _read_mask(case: ImageCase) -> tuple[np.ndarray, np.ndarray]:
    return read_volume(case.home / case.folder / f"{case.model}_dseg.nii.gz")


def _read_mask_sidecar(case: ImageCase) -> dict:
    return json.loads(sidecar_path(case.home / case.folder / f"{case.model}_dseg.nii.gz").read_bytes())


def read_dixon(case: ImageCase) -> DixonSet:
    """The case's four contrasts, verified.

    Raises
    ------
    CorruptVolume
        If a stored file is not what was written, or not the manifest's.
    """
    images = _read_contrasts(case, CONTRASTS)
    return DixonSet({contrast: voxels for contrast, (voxels, _) in images.items()}, images["in"][1])


def _read_contrasts(case: ImageCase, contrasts: tuple[str, ...]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Some of the case's contrasts, verified; the sidecars of all four must be those of the manifest."""
    paths = {contrast: case.home / case.folder / f"{contrast}.nii.gz" for contrast in CONTRASTS}
    images = {contrast: read_volume(paths[contrast]) for contrast in contrasts}
    if combined_sha256({contrast: read_image_sha256(path) for contrast, path in paths.items()}) != case.image_sha256:
        raise CorruptVolume("The stored volumes are not those of the manifest; take the release in again.")
    return images


def verify_volume(path: Path) -> None:
    """Read a stored volume in full.

    Raises
    ------
    CorruptVolume, FileNotFoundError
        If it is not what was written, or absent.
    """
    read_volume(path)
