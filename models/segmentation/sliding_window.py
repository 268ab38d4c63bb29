"""nnU-Net's sliding window: where the tiles lie, and the logits averaged over tiles and folds.

What belongs here: tiles, their weights and their sum. Grids belong to `resampling.py`, choosing what to look at to `inference.py`.
"""

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


_MIN_HALF_WEIGHT = 2**-10  # smaller ones lose their logits to underflow


def list_tiles(shape: Sequence[int], patch: Sequence[int], step: float) -> list[tuple[slice, ...]]:
    """Tiles covering a volume at least as large as the patch; neighbours lie at most `step` patches apart.

    Equal to nnunetv2 2.8.1 `compute_steps_for_sliding_window`.
    """
    starts = []
    for n, size in zip(shape, patch, strict=True):
        n_steps = int(np.ceil((n - size) / (size * step))) + 1
        distance = (n - size) / (n_steps - 1) if n_steps > 1 else 0
        starts.append([int(np.round(distance * i)) for i in range(n_steps)])
    return [tuple(slice(a, a + size) for a, size in zip(corner, patch, strict=True)) for corner in product(*starts)]


def n_tiles(shape: Sequence[int], patch: Sequence[int], step: float) -> int:
    """Number of tiles that a volume takes."""
    return len(list_tiles(np.maximum(shape, patch), patch, step))


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


def predict_logits(
    networks: Sequence["torch.nn.Module"],
    data: "torch.Tensor",
    weights: "torch.Tensor",
    step: float,
    memory_format: "torch.memory_format",
    sum_dtype: "torch.dtype",
    sum_device: str,
) -> "torch.Tensor":
    """Logits (label, z, y, x) of preprocessed data (channel, z, y, x): mean over networks and tiles, weighted within a tile.

    The data are padded with zeros on both sides where they are smaller than a tile. Sums are kept in `sum_dtype` on `sum_device`.
    """
    import torch
    from torch.nn.functional import pad

    shape, patch = data.shape[1:], weights.shape
    missing = [max(size - n, 0) for n, size in zip(shape, patch, strict=True)]
    data = pad(data, [side for n in reversed(missing) for side in (n // 2, n - n // 2)])
    first = next(networks[0].parameters())
    weights, data = weights.to(sum_device), data.to(first)
    if sum_dtype == torch.float16:
        weights = weights.clamp(min=_MIN_HALF_WEIGHT)
    total = None
    weight_sum = torch.zeros(data.shape[1:], dtype=sum_dtype, device=sum_device)
    for tile in list_tiles(data.shape[1:], patch, step):
        part = data[(slice(None), *tile)][None].contiguous(memory_format=memory_format)
        weight_sum[tile] += weights.to(sum_dtype)
        for network in networks:
            logits = network(part)[0].to(sum_device, torch.float32) * weights
            if total is None:
                total = torch.zeros((len(logits), *data.shape[1:]), dtype=sum_dtype, device=sum_device)
            total[(slice(None), *tile)] += logits.to(sum_dtype)
    total /= weight_sum * len(networks)
    inside = [slice(n // 2, n // 2 + size) for n, size in zip(missing, shape, strict=True)]
    return total[(slice(None), *inside)]
