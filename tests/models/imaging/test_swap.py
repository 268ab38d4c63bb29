"""Fat-water swaps are found where they are, and nowhere else: phantoms of all BMI classes and real pixels."""

import nibabel as nib
import numpy as np
import pytest

from models.imaging.dixon import CONTRASTS, DixonSet
from models.imaging.swap import find_swaps
from tests.models.imaging.swaps import draw_case, exchange

WARN_PCT = 2.0


def _find(dixon: DixonSet):
    return find_swaps(dixon.volumes["water"], dixon.volumes["fat"], dixon.affine)


@pytest.mark.parametrize("first", [0, 16, 40])
def test_whole_station_and_side_swaps_are_told_from_none(first):
    """In the leanest, a middle and the heaviest class; `make bench FIGURE=swap_accuracy` has 400 of all classes."""
    for seed in range(first, first + 4):
        kind, dixon = draw_case(seed)
        share = _find(dixon).swapped_pct
        expected = {"none": (0, WARN_PCT), "whole": (95, 100), "station": (20, 30), "side": (10, 15)}[kind]
        assert expected[0] <= share <= expected[1], (seed, kind, share)


@pytest.fixture(scope="module")
def legs(real_data):
    """Real water and fat of both lower legs; in-phase and opposed-phase derived."""
    images = [nib.load(real_data / "dixon_legs" / f"{name}.nii.gz") for name in ("water", "fat")]
    images = [nib.as_closest_canonical(image) for image in images]
    water, fat = (np.asarray(image.dataobj) for image in images)
    volumes = dict(zip(CONTRASTS, (water + fat, abs(water - fat), fat, water), strict=True))
    return DixonSet(volumes, images[0].affine)


EVERYTHING = slice(None)
REGIONS = {
    "whole": ((EVERYTHING,) * 3, 100),
    "distal station": ((EVERYTHING, EVERYTHING, slice(0, 11)), 100 * 11 / 23),
    "middle station": ((EVERYTHING, EVERYTHING, slice(6, 15)), 100 * 9 / 23),
    "one leg": ((slice(None, 160), EVERYTHING, EVERYTHING), 50),
}


def test_real_legs_are_not_swapped(legs):
    evidence = _find(legs)
    assert evidence.swapped_pct == 0 and (evidence.contrast > 0.2).all() and evidence.describe() == ""


@pytest.mark.parametrize("region", REGIONS)
def test_real_legs_swapped_in_a_region_are_found_there(legs, region):
    where, share = REGIONS[region]
    assert _find(exchange(legs, where)).swapped_pct == pytest.approx(share, abs=3)


def test_place_of_a_swap_is_named(legs):
    text = _find(exchange(legs, REGIONS["distal station"][0])).describe()
    assert text.startswith("left half from z ") and "right half" in text


def test_nothing_is_found_in_noise():
    rng = np.random.default_rng(1)
    water, fat = (rng.rayleigh(20, (40, 40, 20)).astype(np.uint16) for _ in range(2))
    share = find_swaps(water, fat, np.diag([4.0, 4.0, 6.0, 1.0])).swapped_pct
    assert not share > 50
