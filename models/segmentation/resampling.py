"""Between an image's grid and the grid a model works on: nnU-Net's resampling, as one small matrix per axis.

nnU-Net's default resampling (splines along each axis, skimage's `resize`) is linear and separable, so along every axis it is a
matrix, and a volume is resampled by three matrix products, or only those of its rows that are wanted. What belongs here: those
matrices and their use. What is resampled, and how it is normalised, belongs to `inference.py`.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

Box = tuple[slice, slice, slice]
_NEGLIGIBLE = 1e-7


@dataclass(frozen=True)
class Grid:
    """Voxels along three axes and their size in mm, in nnU-Net's axis order."""

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]


@lru_cache(maxsize=8)
def axis_matrices(source: Grid, target: Grid, order: int, order_z: int, force_separate_z: bool | None):
    """Matrix (target, source; float32) of each axis, None where the axis stays as it is.

    `order` is the spline's order; where voxels are far longer along one axis (nnU-Net's rule), that axis takes `order_z`. Equal to
    nnunetv2 2.8.1 `resample_data_or_seg_to_shape`, but for its clipping to the range of the input.
    """
    from nnunetv2.preprocessing.resampling.default_resampling import determine_do_sep_z_and_axis

    is_separate, low_axis = determine_do_sep_z_and_axis(force_separate_z, source.spacing_mm, target.spacing_mm)
    orders = [order_z if is_separate and axis == low_axis else order for axis in range(3)]
    return tuple(
        None if n == m else axis_matrix(n, m, axis_order)
        for n, m, axis_order in zip(source.shape, target.shape, orders, strict=True)
    )


def axis_matrix(n: int, m: int, order: int) -> "torch.Tensor":
    """Matrix (m, n) that resamples n samples to m covering the same length, by an interpolating spline of an order."""
    import torch
    from scipy import ndimage

    if order == 0:
        nearest = np.floor(n / m * (np.arange(m) + 0.5)).astype(int).clip(0, n - 1)
        return torch.from_numpy(np.eye(n, dtype=np.float32)[nearest])
    matrix = ndimage.zoom(np.eye(n), (m / n, 1), order=order, mode="nearest", grid_mode=True)
    matrix[np.abs(matrix) < _NEGLIGIBLE] = 0
    return torch.from_numpy(matrix.astype(np.float32))


def narrow(matrix: "torch.Tensor | None", rows: slice) -> tuple["torch.Tensor | None", slice]:
    """What makes the wanted rows out of fewer samples: a matrix, and the samples it takes."""
    if matrix is None:
        return None, rows
    matrix = matrix[rows]
    used = matrix.any(dim=0).nonzero()
    support = slice(int(used.min()), int(used.max()) + 1)
    return matrix[:, support], support


def resample(volume: "torch.Tensor", matrices, box: Box) -> "torch.Tensor":
    """The part `box` (on the target grid) of a volume (..., z, y, x) after resampling."""
    import torch

    for axis, (matrix, rows) in enumerate(zip(matrices, box, strict=True), start=volume.ndim - 3):
        matrix, samples = narrow(matrix, rows)
        volume = volume[(slice(None),) * axis + (samples,)]
        if matrix is None:
            continue
        matrix = matrix.to(volume)
        if axis == volume.ndim - 1:
            volume = volume @ matrix.T
        else:
            shape = volume.shape
            volume = torch.matmul(matrix, volume.reshape(*shape[: axis + 1], -1))
            volume = volume.reshape(*shape[:axis], matrix.shape[0], *shape[axis + 1 :])
    return volume


def rows_inside(matrix: "torch.Tensor | None", part: slice) -> slice:
    """Rows of a matrix of order 0 or 1 that depend on samples of `part`."""
    if matrix is None:
        return part
    rows = matrix[:, part].any(dim=1).nonzero()
    return slice(int(rows.min()), int(rows.max()) + 1) if len(rows) else slice(0, 0)
