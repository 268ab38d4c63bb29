"""Phantoms: truth in closed form, signals that obey the Dixon equations."""

import numpy as np
import pytest

from models.imaging.phantom import (
    NAKO_GRID,
    REDUCED_GRID,
    Acquisition,
    Person,
    draw_anatomy,
    person_truth,
    render,
    true_profile,
)
from models.segmentation.anatomy import LABELS

PERSON = Person("100001", "M", 50, 178.0, 85.0)


@pytest.fixture(scope="module")
def phantom():
    return render(PERSON, 42)


def test_mask_holds_exactly_the_true_pixels(phantom):
    counted = {
        (compartment, side, int(k)): int((phantom.labels[..., k] == value).sum())
        for (compartment, side), value in LABELS.items()
        for k in np.flatnonzero((phantom.labels == value).any(axis=(0, 1)))
    }
    profile = phantom.profile
    assert counted == {
        key: n
        for *key, n in profile[["compartment", "side", "k", "n_pixels"]].itertuples(index=False)
        for key in [tuple(key)]
    }


def test_true_areas_follow_the_formulas_within_half_a_pixel():
    anatomy = draw_anatomy(np.random.default_rng(42), PERSON)
    profile = true_profile(anatomy, NAKO_GRID)
    half_pixel_cm2 = 1.40625**2 / 200
    psoas = profile[(profile["compartment"] == "psoas") & (profile["side"] == "left")]
    assert abs(psoas["csa_cm2"].max() - anatomy.psoas_max_mm2["left"] / 100) < half_pixel_cm2 + 0.02
    low, high = anatomy.psoas_span_mm
    peak_mm = high - anatomy.psoas_peak * (high - low)
    plateau = psoas[psoas["csa_cm2"] > psoas["csa_cm2"].max() - 3 * half_pixel_cm2]
    assert abs(plateau["z_mm"].mean() - peak_mm) < 6
    for side in ("left", "right"):
        gluteus = profile[(profile["compartment"] == "gluteus") & (profile["side"] == side)]
        volume_mm3 = gluteus["csa_cm2"].sum() * 100 * 3
        assert volume_mm3 == pytest.approx(anatomy.gluteus_volume_mm3[side], rel=2e-3)


def test_contrasts_obey_the_dixon_equations(phantom):
    volumes = {contrast: volume.astype(int) for contrast, volume in phantom.dixon.volumes.items()}
    assert (volumes["in"] == volumes["water"] + volumes["fat"]).all()
    assert (volumes["opp"] == abs(volumes["water"] - volumes["fat"])).all()


def test_muscle_is_water_and_skin_is_fat_unless_swapped(phantom):
    swapped = render(PERSON, 42, acquisition=Acquisition(is_swapped=True))
    muscle = phantom.labels > 0
    assert np.median(phantom.dixon.volumes["water"][muscle]) > 5 * np.median(phantom.dixon.volumes["fat"][muscle])
    assert (swapped.dixon.volumes["water"] == phantom.dixon.volumes["fat"]).all()
    assert (swapped.labels == phantom.labels).all()


def test_liver_lies_on_the_right():
    """Between lungs and pelvis the right half holds more water than the left by more than the left exceeds the right anywhere."""
    person = Person("1", "M", 40, 180.0, 80.0)
    water = render(person, 3, acquisition=Acquisition(noise=0, bias=0)).dixon.volumes["water"].astype(float)
    middle = REDUCED_GRID.shape[0] // 2
    excess = water[middle:].sum(axis=(0, 1)) - water[:middle].sum(axis=(0, 1))
    assert excess.max() > 3 * -excess.min()


def test_left_and_right_follow_world_coordinates(phantom):
    x = REDUCED_GRID.axes_mm()[0]
    for (_, side), value in LABELS.items():
        centre = x[np.nonzero(phantom.labels == value)[0]].mean()
        assert centre > 20 if side == "right" else centre < -20


def test_the_same_seed_gives_the_same_phantom_and_another_seed_another():
    again = render(PERSON, 42)
    assert all((again.dixon.volumes[c] == v).all() for c, v in render(PERSON, 42).dixon.volumes.items())
    assert person_truth(PERSON, 42) != person_truth(PERSON, 43)


def test_grid_changes_the_truth_by_no_more_than_its_pixels():
    fine, coarse = (person_truth(PERSON, 42, grid) for grid in (NAKO_GRID, REDUCED_GRID))
    assert coarse["csa_psoas_left_cm2"] == pytest.approx(fine["csa_psoas_left_cm2"], abs=0.2)
    assert coarse["volume_gluteus_left_l"] == pytest.approx(fine["volume_gluteus_left_l"], rel=0.01)
