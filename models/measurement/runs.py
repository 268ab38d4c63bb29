"""A label map as runs: unbroken rows of voxels of one label, the form in which counting, sums and components are quick.

What belongs here: finding the runs of a label map, which of them touch, and which lie inside the eroded mask. What is
measured on them is `morphometry.py`'s work.

A NAKO label map has 26 million voxels, 2 to 3 % of them muscle, in some 40,000 runs.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

_WORD = 8  # voxels of one byte that are looked at together


@dataclass(frozen=True)
class Runs:
    """Runs along x of a label map, in the order of memory (x fastest, then y, z).

    Attributes
    ----------
    shape
        Of the label map (x, y, z).
    label, x, y, z, length
        Of each run: its value, the indices of its first voxel, its number of voxels.
    voxels
        Position in memory of every labelled voxel, run after run.
    """

    shape: tuple[int, int, int]
    label: np.ndarray
    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    length: np.ndarray
    voxels: np.ndarray

    @property
    def start(self) -> np.ndarray:
        """Position in memory of each run's first voxel."""
        return self.voxels[self.first_voxel]

    @property
    def first_voxel(self) -> np.ndarray:
        """Where each run begins in `voxels`."""
        return np.cumsum(self.length) - self.length

    def sum(self, values: np.ndarray) -> np.ndarray:
        """Sum over each run of one value per voxel of `voxels`."""
        if not self.length.size:
            return np.zeros(0)
        return np.add.reduceat(values, self.first_voxel, dtype=np.float64)

    def touches_side(self) -> np.ndarray:
        """Whether each run touches the border of the field of view in x or y."""
        nx, ny, _ = self.shape
        return (self.x == 0) | (self.x + self.length == nx) | (self.y == 0) | (self.y == ny - 1)


def find_runs(labels: np.ndarray) -> Runs:
    """Find the runs of all labels but 0.

    Parameters
    ----------
    labels : ndarray (x, y, z) of uint8
        Quickest in Fortran order.
    """
    nx, ny, _ = labels.shape
    flat = labels.ravel(order="F")
    padded = np.append(flat, np.zeros(-flat.size % _WORD, np.uint8)) if flat.size % _WORD else flat
    occupied = np.flatnonzero(padded.view(np.uint64))
    bytes_ = padded.reshape(-1, _WORD)[occupied].ravel()
    voxels = (occupied[:, None] * _WORD + np.arange(_WORD)).ravel()
    is_labelled = bytes_ > 0
    voxels, values = voxels[is_labelled], bytes_[is_labelled]
    begins = np.ones(voxels.size, bool)
    begins[1:] = (np.diff(voxels) != 1) | (values[1:] != values[:-1])
    begins[np.searchsorted(voxels, np.flatnonzero(flat[::nx]) * nx)] = True  # a row of the map ends every run
    first = np.flatnonzero(begins)
    rows, x = np.divmod(voxels[first], nx)
    z, y = np.divmod(rows, ny)
    return Runs(labels.shape, values[first], x, y, z, np.diff(first, append=voxels.size), voxels)


def find_components(runs: Runs) -> np.ndarray:
    """Number of the connected component of each run; voxels of one label that share a face are connected."""
    nx, ny, nz = runs.shape
    pairs = [_touching(runs, nx, runs.y < ny - 1), _touching(runs, nx * ny, runs.z < nz - 1)]
    one, other = np.concatenate(pairs, axis=1)
    graph = coo_array((np.ones(one.size, bool), (one, other)), shape=(runs.length.size,) * 2)
    return connected_components(graph, directed=False)[1]


def _touching(runs: Runs, offset: int, has_neighbour: np.ndarray) -> np.ndarray:
    """Pairs (2, n) of runs of one label of which the second overlaps the first shifted by `offset` in memory."""
    start, index = runs.start, np.flatnonzero(has_neighbour)
    end = start + runs.length
    low = np.searchsorted(end, start[index] + offset, side="right")
    high = np.maximum(np.searchsorted(start, end[index] + offset, side="left"), low)
    count = high - low
    one = np.repeat(index, count)
    other = np.arange(count.sum()) + np.repeat(low - np.cumsum(count) + count, count)
    return np.stack([one, other])[:, runs.label[one] == runs.label[other]]


def find_eroded(runs: Runs, labels: np.ndarray) -> np.ndarray:
    """Whether each voxel of `runs.voxels` has six neighbours of its own label: the mask eroded by one voxel."""
    nx, ny, nz = runs.shape
    flat, values = labels.ravel(order="F"), np.repeat(runs.label, runs.length)
    is_inside = np.repeat((runs.y > 0) & (runs.y < ny - 1) & (runs.z > 0) & (runs.z < nz - 1), runs.length)
    first = runs.first_voxel
    is_inside[first] = False
    is_inside[first + runs.length - 1] = False
    for offset in (nx, -nx, nx * ny, -nx * ny):
        is_inside &= flat.take(runs.voxels + offset, mode="clip") == values
    return is_inside
