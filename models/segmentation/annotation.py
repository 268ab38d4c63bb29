"""Annotated masks: is what a reader drew on the images' grid, in the body, on the right sides, with known labels?

What belongs here: the checks of one mask, and their codes. Where the masks lie and who drew them is the orchestration's
knowledge; comparing them with predictions belongs to `evaluation.py`.
"""

import re

import numpy as np
from scipy import ndimage

from models.segmentation.anatomy import COMPARTMENTS, LABELS, SIDES

ANNOTATION_ISSUES = {
    "annotation_without_row": (
        "The mask has no row in annotations.csv, or its name is not <participant>_<visit>_<reader>-<reading>.nii.gz."
    ),
    "annotation_without_mask": ("The row of annotations.csv has no mask of its name under annotations/: deliver it."),
    "annotation_without_images": (
        "The images of the participant and visit are not stored: deliver them first, then this release again."
    ),
    "unknown_label": (
        "The mask holds values other than 0 to 4: export psoas left 1, right 2, gluteus left 3, right 4."
    ),
    "empty_annotation": "The mask holds no voxel of any label: save the segmentation before the export.",
    "annotation_grid_differs": (
        "The mask does not share the grid of the stored images: export it on the image's own geometry."
    ),
    "outside_body": "More than 1 % of the mask lies outside the body: it belongs to other images or was moved.",
    "sides_exchanged": (
        "Left lies right of right in world coordinates: exchange the labels, or correct the orientation."
    ),
    "missing_label": "One or more of the four labels are absent: they count as absent from the images.",
}
"""Code -> sentence, in the order in which a mask is looked at; only the last leaves the mask in use."""

NAME = re.compile(
    r"(?P<participant_id>[A-Za-z0-9][A-Za-z0-9-]{0,31})_(?P<visit>[A-Za-z0-9]{1,16})"
    r"_(?P<reader>[A-Za-z0-9]{1,16})-(?P<reading>[1-9][0-9]?)\.nii\.gz"
)
GRID_TOLERANCE_MM = 0.1
OUTSIDE_LIMIT_PCT = 1.0
BODY_SIGNAL_PCT = 10.0


class AnnotationRefused(ValueError):
    """A mask that cannot be used; `code` is one of `ANNOTATION_ISSUES`."""

    def __init__(self, code: str):
        super().__init__(code)
        self.code, self.message = code, ANNOTATION_ISSUES[code]


def check_annotation(
    mask: np.ndarray, affine: np.ndarray, in_phase: np.ndarray, image_affine: np.ndarray
) -> tuple[np.ndarray, bool]:
    """Return a mask as a label map.

    Parameters
    ----------
    mask : ndarray (x, y, z)
        As delivered, RAS+.
    affine : ndarray (4, 4)
        Of the mask, voxel indices -> RAS world, mm.
    in_phase, image_affine
        The in-phase contrast (x, y, z) it belongs to, and its affine.

    Returns
    -------
    labels : ndarray (x, y, z) of uint8
        Values of `anatomy.LABELS`.
    has_all_labels : bool
        Whether each of the four has a voxel.

    Raises
    ------
    AnnotationRefused
        With a code of `ANNOTATION_ISSUES`.
    """
    values = np.unique(mask)
    if not np.isin(values, [0, *LABELS.values()]).all():
        raise AnnotationRefused("unknown_label")
    if not values.any():
        raise AnnotationRefused("empty_annotation")
    if not share_grid(mask.shape, affine, in_phase.shape, image_affine):
        raise AnnotationRefused("annotation_grid_differs")
    labels = np.asfortranarray(mask, dtype=np.uint8)
    body = find_body(in_phase)
    if 100 * (labels[~body] > 0).sum() > OUTSIDE_LIMIT_PCT * (labels > 0).sum():
        raise AnnotationRefused("outside_body")
    if _has_exchanged_sides(labels, body):
        raise AnnotationRefused("sides_exchanged")
    return labels, bool(np.isin(list(LABELS.values()), values).all())


def share_grid(shape: tuple, affine: np.ndarray, other_shape: tuple, other_affine: np.ndarray) -> bool:
    """Whether two volumes have one shape and their corners lie within 0.1 mm of each other."""
    if tuple(shape) != tuple(other_shape):
        return False
    corners = np.array([[*corner, 1] for corner in np.ndindex(2, 2, 2)]) * [*(np.array(shape) - 1), 1]
    distance = np.linalg.norm(corners @ (affine - other_affine).T[:, :3], axis=1)
    return bool((distance <= GRID_TOLERANCE_MM).all())


def find_body(in_phase: np.ndarray) -> np.ndarray:
    """The body: the largest connected part above 10 % of the 99th percentile of the signal, its axial holes filled."""
    is_signal = in_phase > np.percentile(in_phase, 99) * BODY_SIGNAL_PCT / 100
    parts, _ = ndimage.label(is_signal)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    body = parts == sizes.argmax()
    for k in range(body.shape[2]):
        body[:, :, k] = ndimage.binary_fill_holes(body[:, :, k])
    return body


def _has_exchanged_sides(labels: np.ndarray, body: np.ndarray) -> bool:
    """Whether a left centroid lies right of the right one (RAS+: x grows to the right), an absent side's being the body's."""
    middle = _mean_x(body)
    for compartment in COMPARTMENTS:
        left, right = (_mean_x(labels == LABELS[compartment, side]) for side in SIDES)
        if not np.isnan(left + right) and left >= right:
            return True
        if np.isnan(right) and left >= middle or np.isnan(left) and right <= middle:
            return True
    return False


def _mean_x(mask: np.ndarray) -> float:
    counts = mask.sum(axis=(1, 2))
    return float(counts @ np.arange(counts.size) / counts.sum()) if counts.any() else np.nan
