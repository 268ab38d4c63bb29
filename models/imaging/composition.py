"""Stations -> one volume: the overlapping volumes of one contrast along the body, composed on one grid.

Belongs here: sorting stations, refusing those that do not fit together, blending their overlaps. Does not belong here:
reading stations (``stack``) and comparing contrasts (``dixon``). Signal is not matched between stations.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import SimpleITK as sitk

from models.imaging.refusal import Refusal

_DIRECTION_TOLERANCE = 1e-3
_STEP_TOLERANCE = 0.01
_MAX_PIXEL_RATIO = 1.5
_MAX_SIDEWAYS_MM = 50.0
_GRID_TOLERANCE = 0.02
_MAX_OVERLAP = 0.5

Image = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class _Placed:
    """A station's voxels on the common lattice, and the index (3,) there of its first voxel."""

    voxels: np.ndarray
    start: np.ndarray

    @property
    def end(self) -> np.ndarray:
        """Index (3,) after its last voxel."""
        return self.start + self.voxels.shape


def compose_stations(stations: Sequence[Image]) -> Image:
    """Compose the stations of one contrast.

    The lattice is that of the first station along the body, extended to hold all of them. Outside overlaps the voxels
    are those of the one station; inside an overlap of n slices the next station's weight at its i-th slice is
    (1 - cos(pi (i + 1) / (n + 1))) / 2 and the former's the rest (raised cosine: smooth, never 0 or 1). A station that
    does not lie on the lattice (by more than 0.02 voxels) is resampled linearly. Voxels that no station covers are 0.

    Parameters
    ----------
    stations
        (voxels (x, y, z), affine (4, 4) voxel indices -> RAS world, mm) in any order; one voxel type.

    Returns
    -------
    array, affine
        Voxels (x, y, z) of the stations' type, Fortran order; (4, 4) in RAS, mm.

    Raises
    ------
    Refusal
        ``duplicate_position`` where two stations overlap by more than half, ``station_mismatch``, ``station_gap``.
    """
    if len(stations) == 1:
        return stations[0]
    axis = _find_axis(stations)
    stations = sort_stations(stations)
    reference = stations[0][1]
    _check_alike(stations, axis)
    placed = [_place(voxels, affine, reference) for voxels, affine in stations]
    _check_neighbours(placed, axis)
    start = np.min([station.start for station in placed], axis=0)
    shape = np.max([station.end for station in placed], axis=0) - start
    affine = reference.copy()
    affine[:3, 3] += reference[:3, :3] @ start
    composed = np.zeros(shape, stations[0][0].dtype, order="F")
    moved = [_Placed(station.voxels, station.start - start) for station in placed]
    _fill(composed, moved, axis)
    return composed, affine


def sort_stations(stations: Sequence[Image]) -> list[Image]:
    """Sort stations by where their centres lie along the axis on which they differ most, lowest index first."""
    axis = _find_axis(stations)
    centres = _centres(stations)[:, axis]
    return [stations[i] for i in np.argsort(centres)]


def _centres(stations: Sequence[Image]) -> np.ndarray:
    """Centres (station, 3) in the voxel indices of the first station."""
    to_indices = np.linalg.inv(stations[0][1])
    middles = [to_indices @ affine @ [*(np.array(voxels.shape) - 1) / 2, 1] for voxels, affine in stations]
    return np.array(middles)[:, :3]


def _find_axis(stations: Sequence[Image]) -> int:
    spacing_mm = np.linalg.norm(stations[0][1][:3, :3], axis=0)
    return int(np.argmax(np.ptp(_centres(stations), axis=0) * spacing_mm))


def _check_alike(stations: Sequence[Image], axis: int) -> None:
    spacing_mm = np.array([np.linalg.norm(affine[:3, :3], axis=0) for _, affine in stations])
    directions = np.array([affine[:3, :3] for _, affine in stations]) / spacing_mm[:, None, :]
    ratios = spacing_mm / spacing_mm[0]
    sideways_mm = np.delete(np.ptp(_centres(stations), axis=0) * spacing_mm[0], axis)
    if (
        np.abs(directions - directions[0]).max() > _DIRECTION_TOLERANCE
        or np.abs(ratios[:, axis] - 1).max() > _STEP_TOLERANCE
        or ratios.max() > _MAX_PIXEL_RATIO
        or ratios.min() < 1 / _MAX_PIXEL_RATIO
        or sideways_mm.max() > _MAX_SIDEWAYS_MM
    ):
        raise Refusal("station_mismatch")


def _place(voxels: np.ndarray, affine: np.ndarray, reference: np.ndarray) -> _Placed:
    """Put a station on the reference lattice: as it is where it lies on it, else resampled inside its own extent."""
    to_lattice = np.linalg.inv(reference) @ affine
    first = to_lattice[:3, 3]
    last = (to_lattice @ [*np.array(voxels.shape) - 1, 1])[:3]
    start = np.rint(first)
    if max(np.abs(first - start).max(), np.abs(last - start - voxels.shape + 1).max()) <= _GRID_TOLERANCE:
        return _Placed(voxels, start.astype(int))
    start = np.ceil(first - _GRID_TOLERANCE)
    end = np.floor(last + _GRID_TOLERANCE)
    return _Placed(_resample(voxels, affine, reference, start, end - start + 1), start.astype(int))


def _resample(
    voxels: np.ndarray, affine: np.ndarray, reference: np.ndarray, start: np.ndarray, shape: np.ndarray
) -> np.ndarray:
    target = reference.copy()
    target[:3, 3] += reference[:3, :3] @ start
    grid = _to_sitk(np.zeros((1, 1, 1), np.float32), target)
    resampled = sitk.Resample(
        _to_sitk(voxels.astype(np.float32), affine),
        [int(n) for n in shape],
        sitk.Transform(),
        sitk.sitkLinear,
        grid.GetOrigin(),
        grid.GetSpacing(),
        grid.GetDirection(),
    )
    return _to_dtype(sitk.GetArrayFromImage(resampled).T, voxels.dtype)


def _to_sitk(voxels: np.ndarray, affine: np.ndarray) -> sitk.Image:
    """Return an image whose world is RAS, as the affine's; only its agreement with others matters here."""
    image = sitk.GetImageFromArray(voxels.T)
    spacing_mm = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(spacing_mm.tolist())
    image.SetDirection((affine[:3, :3] / spacing_mm).ravel().tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    return image


def _check_neighbours(placed: Sequence[_Placed], axis: int) -> None:
    for lower, upper in pairwise(placed):
        overlap = lower.end[axis] - upper.start[axis]
        if overlap > _MAX_OVERLAP * min(lower.voxels.shape[axis], upper.voxels.shape[axis]):
            raise Refusal("duplicate_position")
        if overlap < 0:
            raise Refusal("station_gap")


def _fill(composed: np.ndarray, placed: Sequence[_Placed], axis: int) -> None:
    """Copy what lies in one station, blend what lies in two."""
    for station in placed:
        composed[_box(station, axis, station.start[axis], station.end[axis])] = station.voxels
    for lower, upper in pairwise(placed):
        first, end = int(upper.start[axis]), int(lower.end[axis])
        for level in range(first, end):
            weight = (1 - np.cos(np.pi * (level - first + 1) / (end - first + 1))) / 2
            _blend(composed, lower, upper, axis, level, weight)


def _blend(composed: np.ndarray, lower: _Placed, upper: _Placed, axis: int, level: int, weight: float) -> None:
    """Blend one slice; where only one of the two stations covers a voxel, that station alone counts."""
    total, cover = (np.zeros(np.delete(composed.shape, axis), np.float32) for _ in range(2))
    for station, share in ((lower, 1 - weight), (upper, weight)):
        inside = tuple(np.delete(np.array(_box(station, axis, level, level + 1), object), axis))
        total[inside] += share * station.voxels.take(level - station.start[axis], axis)
        cover[inside] += share
    blended = np.divide(total, cover, out=np.zeros_like(total), where=cover > 0)
    np.moveaxis(composed, axis, 0)[level] = _to_dtype(blended, composed.dtype)


def _box(station: _Placed, axis: int, first: int, end: int) -> tuple[slice, ...]:
    box = [slice(int(a), int(b)) for a, b in zip(station.start, station.end, strict=True)]
    box[axis] = slice(int(first), int(end))
    return tuple(box)


def _to_dtype(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype.kind == "f":
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)
