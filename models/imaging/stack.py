"""Slices -> a volume: sorted, checked for what is missing, doubled or crooked, and turned to RAS+.

Belongs here: the geometry of one stack of slices. Does not belong here: which slices belong together (``contrast``),
and joining stacks (``composition``). Nothing is resampled.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import nibabel as nib
import numpy as np

from models.imaging.archive import MAX_BYTES
from models.imaging.contrast import echo_time
from models.imaging.instance import Instance, check_pixels, read_pixels, stored_dtype
from models.imaging.refusal import Refusal

POSITION_TOLERANCE_MM = 0.01
_MIN_SLICES = 3
_ORIENTATION_TOLERANCE = 1e-3
_GAP_TOLERANCE = 0.02
_SHEAR_TOLERANCE = 0.1
_SPACING_LIMITS_MM = (0.2, 15.0)
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Stack:
    """Slices of one contrast, sorted along their normal, with the affine (4, 4) of (column, row, slice) in RAS, mm."""

    slices: list[Instance]
    affine: np.ndarray


def stack_slices(instances: Sequence[Instance]) -> Stack:
    """Sort slices along their normal, the cross product of ImageOrientationPatient (DICOM PS3.3 C.7.6.2.1.1).

    Raises
    ------
    Refusal
        Those from ``missing_position`` to ``implausible_spacing`` except ``missing_edge_slice`` and
        ``identity_affine``.
    """
    positions = slice_positions(instances)
    row_direction, column_direction = _orientation(instances)
    if len({echo_time(i) for i in instances}) > 1:
        raise Refusal("two_echo_times")
    matrices = {(i.rows, i.columns, i.pixel_spacing_mm) for i in instances}
    if len(matrices) > 1:
        raise Refusal("mixed_matrix")
    normal = np.cross(row_direction, column_direction)
    order = np.argsort(positions @ normal)
    positions = positions[order]
    _check_gaps(positions @ normal)
    step = (positions[-1] - positions[0]) / (len(positions) - 1)
    _check_shear(positions - positions[0], normal, step)
    between_rows_mm, between_columns_mm = matrices.pop()[2] or (0.0, 0.0)
    check_spacing((between_rows_mm, between_columns_mm, float(np.linalg.norm(step))))
    affine = np.eye(4)
    affine[:3] = np.column_stack(
        [row_direction * between_columns_mm, column_direction * between_rows_mm, step, positions[0]]
    )
    return Stack([instances[i] for i in order], _LPS_TO_RAS @ affine)


def slice_positions(instances: Sequence[Instance]) -> np.ndarray:
    """Return the positions (slice, 3) in mm, LPS.

    Raises
    ------
    Refusal
        ``missing_position``.
    """
    positions = [i.position for i in instances]
    if None in positions:
        raise Refusal("missing_position")
    return np.array(positions)


def check_spacing(spacing_mm: Sequence[float]) -> None:
    """Check voxel sizes in mm.

    Raises
    ------
    Refusal
        ``implausible_spacing``.
    """
    smallest, largest = _SPACING_LIMITS_MM
    if min(spacing_mm) < smallest or max(spacing_mm) > largest:
        raise Refusal("implausible_spacing")


def build_volume(stack: Stack) -> tuple[np.ndarray, np.ndarray]:
    """Read a stack's pixels into the closest canonical orientation; axes are permuted and flipped only.

    Returns
    -------
    array, affine
        Voxels (x, y, z), RAS+, Fortran order: the stored integers, or float32 where a file carries a rescale slope
        or intercept; (4, 4) voxel indices -> RAS world, mm.

    Raises
    ------
    Refusal
        ``unreadable_pixels`` or ``too_large``.
    """
    first = stack.slices[0]
    for instance in stack.slices:
        check_pixels(instance)
    if 2 * first.columns * first.rows * len(stack.slices) > MAX_BYTES:
        raise Refusal("too_large")
    encodings = {(stored_dtype(i), i.rescale) for i in stack.slices}
    is_plain = len(encodings) == 1 and first.rescale == (1.0, 0.0)
    shape = (first.columns, first.rows, len(stack.slices))
    orientation = nib.io_orientation(stack.affine)
    affine = stack.affine @ nib.orientations.inv_ornt_aff(orientation, shape)
    axes = orientation[:, 0].astype(int)
    volume = np.empty(np.array(shape)[np.argsort(axes)], stored_dtype(first) if is_plain else np.float32, order="F")
    as_acquired = volume.transpose(axes)[tuple(slice(None, None, int(flip)) for flip in orientation[:, 1])]
    for index, instance in enumerate(stack.slices):
        pixels = read_pixels(instance)
        slope, intercept = instance.rescale
        as_acquired[:, :, index] = (pixels if is_plain else pixels * slope + intercept).T
    return volume, affine


def _orientation(instances: Sequence[Instance]) -> np.ndarray:
    """Return the direction of a row and of a column (2, 3), LPS unit vectors."""
    vectors = [i.orientation for i in instances]
    if None in vectors:
        raise Refusal("missing_position")
    orientations = np.array(vectors).reshape(-1, 2, 3)
    products = orientations @ orientations.transpose(0, 2, 1)
    if not np.allclose(products, np.eye(2), rtol=0, atol=10 * _ORIENTATION_TOLERANCE):
        raise Refusal("missing_position")
    if np.abs(orientations - orientations[0]).max() > _ORIENTATION_TOLERANCE:
        raise Refusal("two_orientations")
    return orientations[0]


def _check_gaps(levels_mm: np.ndarray) -> None:
    if len(levels_mm) < _MIN_SLICES:
        raise Refusal("too_few_slices")
    gaps = np.diff(levels_mm)
    if gaps.min() < POSITION_TOLERANCE_MM:
        raise Refusal("duplicate_position")
    multiples = gaps / np.median(gaps)
    uneven = multiples[np.abs(multiples - 1) > _GAP_TOLERANCE]
    nearest = np.round(uneven)
    if np.any((nearest >= 2) & (np.abs(uneven - nearest) <= _GAP_TOLERANCE * nearest)):
        raise Refusal("missing_slice")
    if uneven.size:
        raise Refusal("uneven_gap")


def _check_shear(offsets_mm: np.ndarray, normal: np.ndarray, step_mm: np.ndarray) -> None:
    sideways = offsets_mm - np.outer(offsets_mm @ normal, normal)
    if np.abs(sideways).max() > _SHEAR_TOLERANCE * np.linalg.norm(step_mm):
        raise Refusal("sheared_volume")
