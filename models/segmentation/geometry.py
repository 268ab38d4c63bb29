"""The geometry gate: images that a model was not made for are refused before the network sees them.

A network answers on any grid; outside what it was trained for its answer is silently wrong or empty. Belongs here: the codes, their
sentences and the comparison. The geometry itself comes from the model folder's plans.
"""

from dataclasses import dataclass

import numpy as np

REFUSALS: dict[str, str] = {
    "orientation_differs": "The volume is not stored right-anterior-superior, or lies oblique by over 15 degrees. "
    "Take the release in again; an oblique acquisition is not analysed.",
    "spacing_differs": "The voxels are over 2 times longer or over 4 times shorter than those the model works on. "
    "Use a model trained at this spacing.",
    "small_field_of_view": "The field of view is smaller than what the model needs to tell the muscles and the sides "
    "apart. Deliver the composed volume rather than a part.",
}
"""Code -> sentence, in order of precedence."""

MAX_OBLIQUITY_DEG = 15.0
MAX_COARSER, MAX_FINER = 2.0, 4.0
MIN_EXTENT = 0.75


class GeometryRefused(Exception):
    """An image whose geometry the model was not made for; never retried."""

    def __init__(self, code: str, detail: str):
        super().__init__(code, detail)
        self.code, self.message = code, f"{REFUSALS[code]} {detail}"


@dataclass(frozen=True)
class ModelGeometry:
    """What a model expects, along x, y, z: voxel size it works on, and size of its patch or of a training image, the smaller."""

    spacing_mm: tuple[float, float, float]
    extent_mm: tuple[float, float, float]

    @classmethod
    def from_plans(cls, plans: dict, configuration: str) -> "ModelGeometry":
        """Read it from nnU-Net's plans, which order axes z, y, x and may transpose them."""
        planned = plans["configurations"][configuration]
        xyz = np.argsort(plans["transpose_forward"])[::-1]
        spacing, patch = np.array(planned["spacing"]), np.array(planned["patch_size"])
        image = np.array(plans["original_median_shape_after_transp"]) * plans["original_median_spacing_after_transp"]
        return cls(tuple(spacing[xyz]), tuple(np.minimum(patch * spacing, image)[xyz]))


def check_geometry(shape: tuple[int, int, int], affine: np.ndarray, geometry: ModelGeometry) -> None:
    """Refuse a grid (voxels along x, y, z; voxel indices -> RAS world, mm) that the model was not made for.

    Raises
    ------
    GeometryRefused
        Orientation not RAS+ or oblique by over 15 degrees; a spacing outside 1/4 to 2 times the model's; an extent along any axis
        under 75 % of the model's patch or of a training image, whichever is smaller.
    """
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    angle = np.degrees(np.arccos(np.clip(np.diag(affine[:3, :3]) / spacing, -1, 1)).max())
    if angle > MAX_OBLIQUITY_DEG:
        raise GeometryRefused("orientation_differs", f"Largest angle to an axis: {angle:.0f} degrees.")
    ratio = spacing / geometry.spacing_mm
    if ratio.max() > MAX_COARSER * 1.001 or ratio.min() < 0.999 / MAX_FINER:
        raise GeometryRefused("spacing_differs", f"{_mm(spacing)} against the model's {_mm(geometry.spacing_mm)}.")
    extent = spacing * shape
    if (extent < MIN_EXTENT * np.array(geometry.extent_mm)).any():
        raise GeometryRefused("small_field_of_view", f"{_mm(extent)} against {_mm(geometry.extent_mm)}.")


def _mm(lengths) -> str:
    return " x ".join(f"{length:.4g}" for length in lengths) + " mm"
