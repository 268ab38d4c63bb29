"""nnU-Net's sliding window: where the tiles lie, and the logits averaged over tiles and folds.

What belongs here: tiles, their weights and their sum. Grids belong to `resampling.py`, choosing what to look at to `inference.py`.
"""

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from models.segmentation.resampling import Box

if TYPE_CHECKING:
    import torch

Starts = tuple[tuple[int, ...], ...]
_MIN_HALF_WEIGHT = 2**-10  # smaller ones lose their logits to underflow


def list_starts(shape: Sequence[int], patch: Sequence[int], step: float) -> Starts:
    """Where tiles begin along each axis, so that neighbours lie at most `step` patches apart; 0 where the patch is longer.

    Equal to nnunetv2 2.8.1 `compute_steps_for_sliding_window`.
    """
    starts = []
    for n, size in zip(np.maximum(shape, patch), patch, strict=True):
        n_steps = int(np.ceil((n - size) / (size * step))) + 1
        distance = (n - size) / (n_steps - 1) if n_steps > 1 else 0
        starts.append(tuple(int(np.round(distance * i)) for i in range(n_steps)))
    return tuple(starts)


def list_tiles(starts: Starts, patch: Sequence[int], shape: Sequence[int]) -> list[Box]:
    """The tiles that begin there, within a volume of this shape."""
    ends = zip(patch, shape, strict=True)
    return list(
        product(*([slice(a, min(a + size, n)) for a in axis] for axis, (size, n) in zip(starts, ends, strict=True)))
    )


def find_hull(tiles: Sequence[Box]) -> Box:
    """The box around all tiles."""
    return tuple(
        slice(min(part.start for part in axis), max(part.stop for part in axis)) for axis in zip(*tiles, strict=True)
    )


def tile_weights(patch: Sequence[int]) -> "torch.Tensor":
    """Gaussian weights of a tile's voxels: SD an eighth of its size, 10 at the centre, nowhere 0 (as nnU-Net's)."""
    import torch
    from scipy.ndimage import gaussian_filter1d

    weights = np.ones(())
    for size in patch:
        impulse = np.zeros(size)
        impulse[size // 2] = 1
        weights = np.multiply.outer(weights, gaussian_filter1d(impulse, size / 8, mode="constant"))
    weights *= 10 / weights.max()
    weights[weights == 0] = weights[weights > 0].min()
    return torch.from_numpy(weights.astype(np.float32))


class LogitSum:
    """Sum over tiles and networks of logits (label, z, y, x) on a grid of `shape`, weighted within a tile.

    Where the grid is shorter than a tile, the network sees zeros on both sides. Sums are kept in `dtype` on `device`.
    """

    def __init__(
        self,
        networks: Sequence["torch.nn.Module"],
        shape: Sequence[int],
        weights: "torch.Tensor",
        memory_format: "torch.memory_format",
        dtype: "torch.dtype",
        device: str,
    ):
        import torch

        missing = [max(size - n, 0) for n, size in zip(shape, weights.shape, strict=True)]
        self._padding = [side for n in reversed(missing) for side in (n // 2, n - n // 2)]
        self._inside = tuple(slice(m // 2, m // 2 + n) for m, n in zip(missing, shape, strict=True))
        self._networks, self._memory_format, self._dtype, self._device = networks, memory_format, dtype, device
        self._weights = weights[self._inside].to(device)
        if dtype == torch.float16:
            self._weights = self._weights.clamp(min=_MIN_HALF_WEIGHT)
        self._weight_sum = torch.zeros(tuple(shape), dtype=dtype, device=device)
        self._total = None
        self._n_muscle = self._n_disputed = 0

    @property
    def disagreement_pct(self) -> float | None:
        """Voxels of the tiles that not all networks label alike, of those where any sees muscle; None for one network or no muscle."""
        return 100 * self._n_disputed / self._n_muscle if len(self._networks) > 1 and self._n_muscle else None

    def add(self, data: "torch.Tensor", tiles: Sequence[Box]) -> None:
        """Add tiles; `data` (channel, z, y, x; preprocessed) is what lies in the box around them."""
        import torch
        from torch.nn.functional import pad

        corner, data = find_hull(tiles), data.to(next(self._networks[0].parameters()))
        for tile in tiles:
            within = [slice(a.start - b.start, a.stop - b.start) for a, b in zip(tile, corner, strict=True)]
            part = pad(data[(slice(None), *within)], self._padding)[None].contiguous(memory_format=self._memory_format)
            self._weight_sum[tile] += self._weights.to(self._dtype)
            labels = []
            for network in self._networks:
                logits = network(part)[0][(slice(None), *self._inside)].to(self._device, torch.float32) * self._weights
                if self._total is None:
                    shape = (len(logits), *self._weight_sum.shape)
                    self._total = torch.zeros(shape, dtype=self._dtype, device=self._device)
                self._total[(slice(None), *tile)] += logits.to(self._dtype)
                labels.append(logits.argmax(dim=0).to(torch.uint8))
            self._count_disputed(torch.stack(labels))

    def _count_disputed(self, labels: "torch.Tensor") -> None:
        self._n_muscle += int((labels > 0).any(dim=0).sum())
        self._n_disputed += int((labels != labels[0]).any(dim=0).sum())

    def read_sum(self, box: Box) -> "torch.Tensor":
        """The sum in a box: its largest label is the mean's."""
        return self._total[(slice(None), *box)]

    def read_mean(self, box: Box) -> "torch.Tensor":
        """The mean in a box that the tiles cover; nothing can be added any more."""
        mean = self.read_sum(box)
        mean /= self._weight_sum[box] * len(self._networks)
        return mean
