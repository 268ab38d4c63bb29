"""The four Dixon contrasts of one participant and visit as one thing on one grid.

Belongs here: what is true of in-phase, opposed-phase, fat and water together. Does not belong here: file formats
(``dicom``, ``nifti``) and anything about masks of particular muscles.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models.imaging.refusal import Refusal

CONTRASTS = ("in", "opp", "fat", "water")
"""In-phase, opposed-phase, fat, water: the order of storage, of hashes and of network channels."""

_AFFINE_TOLERANCE_MM = 1e-4


@dataclass(frozen=True)
class DixonSet:
    """Four contrasts on one grid.

    Attributes
    ----------
    volumes
        Contrast -> voxels (x, y, z), RAS+ (indices grow to the right, anterior, superior), int16, uint16 or float32.
    affine
        (4, 4) voxel indices -> RAS world, mm.
    """

    volumes: dict[str, np.ndarray]
    affine: np.ndarray


def combine_contrasts(images: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> DixonSet:
    """Put four contrasts together, provided they share one grid.

    Parameters
    ----------
    images
        Contrast -> (voxels (x, y, z), affine (4, 4) in RAS mm).

    Raises
    ------
    Refusal
        ``missing_contrast``, or ``geometry_differs`` where a shape or an affine (by more than 1e-4) differs.
    """
    absent = [contrast for contrast in CONTRASTS if contrast not in images]
    if absent:
        raise Refusal("missing_contrast", f"Absent: {', '.join(absent)}.")
    shape, affine = images[CONTRASTS[0]][0].shape, images[CONTRASTS[0]][1]
    for contrast in CONTRASTS[1:]:
        voxels, other = images[contrast]
        if voxels.shape != shape or not np.allclose(other, affine, rtol=0, atol=_AFFINE_TOLERANCE_MM):
            raise Refusal("geometry_differs", f"{CONTRASTS[0]} and {contrast} disagree.")
    return DixonSet({contrast: images[contrast][0] for contrast in CONTRASTS}, affine)
