"""Which of the full pass's tiles are needed: those over the core of the muscle at first, then more while muscle goes on beyond them.

The tiles stay where the full pass lays them, so that voxels under all their tiles get its very logits. What belongs here: the
choice from label maps. The coarse look that it starts from is `inference.py`'s.
"""

import numpy as np

from models.segmentation.anatomy import LABELS
from models.segmentation.sliding_window import Starts

TRACE_PART = 0.001  # of a muscle's voxels
TAPER_SLICES = 4


def find_extent(labels: np.ndarray, axis: int) -> tuple[int, int] | None:
    """First and last index along an axis of slices that hold more than a trace of a muscle; None where there is no muscle."""
    counts = _count_by_slice(labels, axis)
    rows = np.flatnonzero((counts > TRACE_PART * counts.sum(axis=0)).any(axis=1))
    return (int(rows[0]), int(rows[-1])) if len(rows) else None


def cover(starts: tuple[int, ...], size: int, first: int, last: int) -> tuple[int, ...]:
    """The fewest neighbouring tiles of a size along an axis that hold the voxels first to last.

    >>> cover((0, 16, 32, 48), 32, 20, 60)
    (16, 32)
    """
    i = max(i for i, start in enumerate(starts) if start <= first)
    j = min((j for j, start in enumerate(starts) if start + size > last), default=len(starts) - 1)
    return starts[i : max(i, j) + 1]


def grow(starts: Starts, all_starts: Starts, labels: np.ndarray) -> Starts:
    """One tile more on every side where a muscle goes on beyond the covered `labels`; all tiles where a muscle was not found."""
    grown = []
    for axis, (chosen, every) in enumerate(zip(starts, all_starts, strict=True)):
        counts = _count_by_slice(labels, axis)
        if not counts.any(axis=0).all():
            return all_starts
        i, j = every.index(chosen[0]), every.index(chosen[-1])
        grown.append(every[max(i - _goes_on(counts), 0) : j + 1 + _goes_on(counts[::-1])])
    return tuple(grown)


def _goes_on(counts: np.ndarray) -> bool:
    """Whether more than a trace of a muscle would lie before the first slice, if it went on tapering as in the first few.

    A straight taper from area a, which was b `TAPER_SLICES` further in, ends after a / (b - a) as many slices: a triangle.
    """
    edge, inner = counts[0].astype(float), counts[min(TAPER_SLICES, len(counts) - 1)]
    beyond = edge**2 * TAPER_SLICES / 2 / np.maximum(inner - edge, 1e-9)
    return bool((beyond > TRACE_PART * counts.sum(axis=0)).any())


def _count_by_slice(labels: np.ndarray, axis: int) -> np.ndarray:
    """Voxels (slice along the axis, muscle)."""
    slices = np.moveaxis(labels, axis, 0)
    return np.array([np.bincount(part.ravel(), minlength=len(LABELS) + 1)[1:] for part in slices])
