"""Masks that lie on disk and are not in the ledger: taken as they are, where they were made of these images by this model.

So a warehouse is built anew without running the network, and a mask that was written just before a run was killed is not made twice.
"""

import json
from dataclasses import dataclass, replace

from dagster_project import engine
from dagster_project.case_work import ImageCase, StoredMask
from models.imaging.nifti import CorruptVolume, read_volume, sidecar_path
from models.segmentation.inference import Model


@dataclass(frozen=True)
class LyingMask:
    """A case, and what the sidecar of its mask says."""

    case: ImageCase
    mask: StoredMask


def list_lying(cases: list[ImageCase], model: Model) -> list[LyingMask]:
    """Cases whose mask's sidecar names their images and the model; the mask itself is not read."""
    lying = []
    for case in cases:
        path = case.folder / f"{model.model_version}_dseg.nii.gz"
        try:
            facts = json.loads(sidecar_path(case.home / path).read_bytes())
            if (facts["source_sha256"], facts["model_sha256"]) != (case.image_sha256, model.manifest_sha256):
                continue
            made = replace(case, precision=facts["precision"], is_low_memory=facts["options"]["low_memory"])
            mask = StoredMask(str(path), facts["image_sha256"], facts["seconds"], facts["device"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        lying.append(LyingMask(made, mask))
    return lying


def adopt(lying: LyingMask) -> StoredMask:
    """Read the mask in full; what it is if it is what was written.

    Raises
    ------
    CorruptVolume
        If it is not.
    """
    try:
        read_volume(lying.case.home / lying.mask.mask_path)
    except FileNotFoundError:
        raise CorruptVolume("The mask is absent.") from None
    return lying.mask


def as_segmented(outcome: engine.Outcome) -> engine.Outcome:
    """The outcome of an adopted mask in the form of a segmentation's."""
    return engine.Outcome(outcome.case.case, outcome.result)
