"""Resampling by matrices, tiles and their weights against nnU-Net's own."""

import numpy as np
import pytest
import torch
from nnunetv2.inference.sliding_window_prediction import compute_gaussian, compute_steps_for_sliding_window
from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg_to_shape
from scipy.ndimage import gaussian_filter

from models.segmentation.resampling import Grid, axis_matrices, resample
from models.segmentation.sliding_window import LogitSum, find_hull, list_starts, list_tiles, tile_weights

GRIDS = {
    "as NAKO to the phantom model's": (
        Grid((79, 65, 80), (3.0, 1.40625, 1.40625)),
        Grid((40, 22, 27), (6.0, 4.21875, 4.21875)),
    ),
    "6 mm slices, resampled apart": (Grid((30, 40, 44), (6.0, 1.4, 1.4)), Grid((60, 40, 30), (3.0, 1.4, 2.05))),
    "finer": (Grid((10, 12, 14), (6.0, 4.0, 4.0)), Grid((21, 23, 29), (2.9, 2.1, 1.9))),
}


def clip_as_nnunet(resampled, volume, matrices, name):
    """Cut off the spline's overshoot: beyond the range of the volume, or of each slice where these are resampled apart."""
    if "apart" not in name:
        return resampled.clip(volume.min(), volume.max())
    nearest = volume[:, matrices[0].argmax(dim=1).numpy()]
    return resampled.clip(nearest.min((0, 2, 3))[None, :, None, None], nearest.max((0, 2, 3))[None, :, None, None])


@pytest.mark.parametrize("order", [3, 1])
@pytest.mark.parametrize("name", GRIDS)
def test_matrices_resample_as_nnunet_does(name, order):
    source, target = GRIDS[name]
    noise = np.random.default_rng(1).normal(size=(1, *source.shape))
    volume = gaussian_filter(noise, (0, 1, 1, 1)).astype(np.float32)
    volume /= volume.std()
    theirs = resample_data_or_seg_to_shape(
        volume,
        target.shape,
        source.spacing_mm,
        target.spacing_mm,
        is_seg=False,
        order=order,
        order_z=0,
        force_separate_z=None,
    )
    matrices = axis_matrices(source, target, order, 0, None)
    ours = resample(torch.from_numpy(volume), matrices, tuple(slice(0, n) for n in target.shape))
    np.testing.assert_allclose(clip_as_nnunet(ours.numpy(), volume, matrices, name), theirs, atol=1e-5)
    box = (slice(3, 9), slice(1, None, 3), slice(0, 5))
    part = resample(torch.from_numpy(volume), matrices, box)
    np.testing.assert_allclose(part.numpy(), ours.numpy()[(slice(None), *box)], atol=1e-5)


@pytest.mark.parametrize("shape", [(32, 88, 112), (83, 90, 200), (158, 88, 113)])
@pytest.mark.parametrize("step", [0.5, 1.0])
def test_tiles_lie_where_nnunet_lays_them(shape, step):
    patch = (32, 88, 112)
    theirs = compute_steps_for_sliding_window(shape, patch, step)
    ours = list_starts(shape, patch, step)
    assert [list(axis) for axis in ours] == theirs
    corners = [(z, y, x) for z in theirs[0] for y in theirs[1] for x in theirs[2]]
    assert [tuple(part.start for part in tile) for tile in list_tiles(ours, patch, shape)] == corners


def test_weights_are_nnunets():
    theirs = compute_gaussian((16, 24, 32), value_scaling_factor=10, dtype=torch.float32, device=torch.device("cpu"))
    np.testing.assert_allclose(tile_weights((16, 24, 32)).numpy(), theirs.numpy(), rtol=1e-4)


def test_logits_of_a_pointwise_network_are_the_mean_of_the_networks_everywhere():
    """Where a network looks at single voxels, tiles, weights and padding must not show."""
    networks = [torch.nn.Conv3d(2, 3, 1).eval() for _ in range(2)]
    data = torch.randn(2, 5, 20, 9)
    shape, patch = (5, 20, 9), (8, 8, 8)
    tiles = list_tiles(list_starts(shape, patch, 0.5), patch, shape)
    logits = LogitSum(networks, shape, tile_weights(patch), torch.contiguous_format, torch.float32, "cpu")
    with torch.inference_mode():
        for some in (tiles[:2], tiles[2:]):
            logits.add(data[(slice(None), *find_hull(some))], some)
        ours = logits.read_mean(find_hull(tiles))
        expected = sum(network(data[None])[0] for network in networks) / 2
    assert torch.allclose(ours, expected, atol=1e-5)


def test_voxels_where_the_networks_differ_are_counted_among_those_with_muscle():
    """Both see muscle in 3 of 8 slices; in the last of them they call it differently."""
    first, second = torch.zeros(3, 8, 8, 8), torch.zeros(3, 8, 8, 8)
    for logits, last in ((first, 1), (second, 2)):
        logits[0, 3:] = logits[1, :2] = logits[last, 2] = 1.0
    networks = [_Constant(first), _Constant(second)]
    logits = LogitSum(networks, (8, 8, 8), tile_weights((8, 8, 8)), torch.contiguous_format, torch.float32, "cpu")
    assert logits.disagreement_pct is None
    tile = (slice(0, 8),) * 3
    logits.add(torch.zeros(2, 8, 8, 8), [tile])
    assert logits.disagreement_pct == pytest.approx(100 / 3)


class _Constant(torch.nn.Module):
    """Gives the same logits whatever it sees."""

    def __init__(self, logits):
        super().__init__()
        self._logits = torch.nn.Parameter(logits, requires_grad=False)

    def forward(self, data):
        return self._logits[None]
