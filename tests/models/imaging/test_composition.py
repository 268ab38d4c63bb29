"""Stations composed: what lies in one station is kept, overlaps blend smoothly, what does not fit is refused."""

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from models.imaging.composition import compose_stations
from models.imaging.phantom import Grid, draw_person, render
from models.imaging.refusal import Refusal
from tests.models.imaging.imaging_cases import AFFINE

STEP_SLICES, OVERLAP = 26, 5


@pytest.fixture(scope="module")
def phantom():
    """A rendered participant: water voxels and affine."""
    person = draw_person(np.random.default_rng(5), "123456")
    dixon = render(person, 5, Grid((60, 50, 90), (7.0, 7.0, 10.0))).dixon
    return dixon.volumes["water"], dixon.affine


def cut(voxels, affine, first, end):
    moved = affine.copy()
    moved[:3, 3] += affine[:3, 2] * first
    return voxels[:, :, first:end], moved


def code_of(stations):
    with pytest.raises(Refusal) as caught:
        compose_stations(stations)
    return caught.value.code


@pytest.fixture(scope="module")
def legs(real_data):
    """Seven real stations, feet to hip, each set 26 slices above the one before."""
    stations = []
    for number in range(1, 8):
        image = nib.as_closest_canonical(nib.load(real_data / "dixon_legs" / f"Join_{number}.nii.gz"))
        affine = image.affine.copy()
        affine[:3, 3] += affine[:3, 2] * STEP_SLICES * (number - 1)
        stations.append((np.asfortranarray(image.get_fdata(dtype=np.float32)), affine))
    return stations


def test_real_stations_keep_what_no_other_covers(legs):
    composed, affine = compose_stations([legs[i] for i in (3, 0, 6, 2, 5, 1, 4)])
    n_slices = legs[0][0].shape[2]
    assert composed.shape[2] == 6 * STEP_SLICES + n_slices
    np.testing.assert_allclose(affine, legs[0][1])
    for number, (voxels, _) in enumerate(legs):
        own = slice(OVERLAP if number else 0, n_slices - OVERLAP if number < 6 else n_slices)
        level = number * STEP_SLICES
        np.testing.assert_array_equal(composed[:, :, level + own.start : level + own.stop], voxels[:, :, own])


def test_real_overlaps_are_a_smooth_mixture(legs):
    composed, _ = compose_stations(legs)
    assert legs[0][0].shape[2] - STEP_SLICES == OVERLAP
    for number in range(6):
        lower, upper = legs[number][0][:, :, STEP_SLICES:], legs[number + 1][0][:, :, :OVERLAP]
        first = (number + 1) * STEP_SLICES
        mixed = composed[:, :, first : first + OVERLAP]
        weights = [np.sin(np.pi * k / 12) ** 2 for k in range(1, 6)]
        np.testing.assert_allclose(mixed, lower * np.subtract(1, weights) + upper * weights, atol=1e-2, rtol=1e-4)
    profile = composed.mean(axis=(0, 1))
    steps = np.abs(np.diff(profile))
    hard = np.concatenate([legs[n][0][:, :, :STEP_SLICES].mean(axis=(0, 1)) for n in range(7)])
    seams = [n * STEP_SLICES - 1 for n in range(1, 7)]
    assert steps.max() < np.abs(np.diff(hard))[seams].max()


def test_real_composition_agrees_with_simpleitk(legs):
    """Outside overlaps, SimpleITK's nearest-neighbour resampling of each station onto the composed grid is the same."""
    composed, affine = compose_stations(legs)
    for number, (voxels, own) in enumerate(legs):
        image = sitk.GetImageFromArray(voxels.T)
        spacing = np.linalg.norm(own[:3, :3], axis=0)
        image.SetSpacing(spacing.tolist())
        image.SetDirection((own[:3, :3] / spacing).ravel().tolist())
        image.SetOrigin(own[:3, 3].tolist())
        for k in (OVERLAP, 12, voxels.shape[2] - OVERLAP - 1):
            level = number * STEP_SLICES + k
            for x, y in ((160, 160), (100, 140), (220, 180)):
                world = affine @ [x, y, level, 1]
                index = image.TransformPhysicalPointToIndex(world[:3].tolist())
                assert image[index] == composed[x, y, level]


def test_cut_phantom_comes_back(phantom):
    voxels, affine = phantom
    stations = [cut(voxels, affine, *bounds) for bounds in ((50, 74), (0, 30), (70, 90), (25, 54))]
    composed, composed_affine = compose_stations(stations)
    assert composed.dtype == voxels.dtype
    np.testing.assert_array_equal(composed, voxels)
    np.testing.assert_allclose(composed_affine, affine)


def test_touching_stations_are_joined(phantom):
    voxels, affine = phantom
    composed, _ = compose_stations([cut(voxels, affine, 0, 45), cut(voxels, affine, 45, 90)])
    np.testing.assert_array_equal(composed, voxels)


def test_blend_is_the_raised_cosine():
    low, high = np.zeros((2, 2, 10), np.float32), np.full((2, 2, 10), 100, np.float32)
    upper_affine = AFFINE.copy()
    upper_affine[:3, 3] += AFFINE[:3, 2] * 7
    composed, _ = compose_stations([(high, upper_affine), (low, AFFINE)])
    np.testing.assert_allclose(composed[0, 0, 5:12], [0, 0, 14.6447, 50, 85.3553, 100, 100], atol=1e-3)


@pytest.mark.parametrize("shift_voxels", [(0.5, 0, 0), (0.3, -0.4, 0), (0, 0, 0.5), (3, -2, 0)])
def test_shifted_grids_are_resampled_within_interpolation_error(shift_voxels):
    """A linear ramp survives linear interpolation exactly, but for rounding to integers."""
    affine = np.diag([2.0, 3.0, 4.0, 1.0])
    moved = affine.copy()
    moved[:3, 3] = affine[:3, :3] @ (np.array(shift_voxels) + [0, 0, 15])

    def ramp(grid):
        x, y, z = np.moveaxis(
            np.einsum("ij,xyzj->xyzi", grid[:3, :3], np.moveaxis(np.indices((20, 20, 20)), 0, -1)), -1, 0
        )
        return np.rint(500 + 3 * (x + grid[0, 3]) + 2 * (y + grid[1, 3]) + 4 * (z + grid[2, 3])).astype(np.int16)

    composed, out = compose_stations([(ramp(affine), affine), (ramp(moved), moved)])
    world = np.moveaxis(np.indices(composed.shape), 0, -1) @ out[:3, :3].T + out[:3, 3]
    expected = 500 + world @ [3, 2, 4]
    inner = composed[5:15, 5:15]
    assert np.abs(inner - expected[5:15, 5:15]).max() <= 1.5


def test_coronal_stations_compose_along_the_body(phantom):
    voxels, affine = phantom
    rolled = np.array([[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1.0]])
    swapped = np.ascontiguousarray(voxels.transpose(1, 2, 0))
    grid = affine @ rolled
    upper = grid.copy()
    upper[:3, 3] += grid[:3, 1] * 40
    composed, _ = compose_stations([(swapped[:, 40:], upper), (swapped[:, :50], grid)])
    np.testing.assert_array_equal(composed, swapped)


def test_gap_is_refused(phantom):
    assert code_of([cut(*phantom, 0, 40), cut(*phantom, 41, 90)]) == "station_gap"


def test_repeated_station_is_refused(phantom):
    assert code_of([cut(*phantom, 0, 40), cut(*phantom, 0, 40)]) == "duplicate_position"
    assert code_of([cut(*phantom, 0, 40), cut(*phantom, 10, 50)]) == "duplicate_position"


@pytest.mark.parametrize(
    "change",
    [
        np.diag([1, 1, 1.1, 1]),
        np.diag([2, 2, 1, 1]),
        np.array([[1, 0.05, 0, 0], [-0.05, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
        np.array([[1, 0, 0, 9], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
    ],
)
def test_stations_that_do_not_fit_are_refused(phantom, change):
    voxels, affine = cut(*phantom, 35, 90)
    assert code_of([cut(*phantom, 0, 40), (voxels, affine @ change)]) == "station_mismatch"
