"""Percentiles against scipy and a closed form."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from dashboard import percentiles
from dashboard.percentiles import Lms


def grid() -> pd.DataFrame:
    """Return norms on ages 20-30 and BMI 20-25 that the interpolation must reproduce exactly."""
    age, bmi = (axis.ravel() for axis in np.meshgrid(np.arange(20, 31), np.arange(20, 26)))
    frame = pd.DataFrame({"age_years": age, "bmi_kg_m2": bmi})
    return frame.assign(
        l=0.1 + 0.01 * age, m=10 * np.exp(0.004 * age + 0.02 * bmi), s=0.1 + 0.001 * age + 0.0001 * age * bmi
    )


@pytest.mark.parametrize(("age", "bmi"), [(24, 22), (24.5, 22), (24, 22.25), (21.1, 24.9), (20, 20), (30, 25)])
def test_interpolation_reproduces_bilinear_norms(age: float, bmi: float) -> None:
    """L and S are bilinear here, M is log-linear: no error is allowed."""
    lms = percentiles.interpolate(grid(), age, bmi)
    expected = (0.1 + 0.01 * age, 10 * math.exp(0.004 * age + 0.02 * bmi), 0.1 + 0.001 * age + 0.0001 * age * bmi)
    assert (lms.l, lms.m, lms.s) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("age", "bmi"), [(19.9, 22), (30.1, 22), (24, 19.9), (24, 25.01), (19, 19)])
def test_outside_the_grid_there_is_no_answer(age: float, bmi: float) -> None:
    """Nothing is extrapolated."""
    assert percentiles.interpolate(grid(), age, bmi) is None


def test_a_hole_in_the_support_has_no_answer_around_it() -> None:
    """A missing grid point takes its four neighbouring cells with it, but not their other corners."""
    holed = grid().query("not (age_years == 24 and bmi_kg_m2 == 22)")
    assert percentiles.interpolate(holed, 24, 22) is None
    assert percentiles.interpolate(holed, 23.5, 21.5) is None
    assert percentiles.interpolate(holed, 23, 21.5) is not None


def test_norms_by_age_alone() -> None:
    """Without BMI only age is interpolated."""
    by_age = grid().query("bmi_kg_m2 == 22").assign(bmi_kg_m2=np.nan)
    assert percentiles.interpolate(by_age, 24.5).m == pytest.approx(10 * math.exp(0.004 * 24.5 + 0.44), rel=1e-12)


@pytest.mark.parametrize("l", [-1.2, -1e-13, 0, 1e-13, 0.3, 1, 2])
@pytest.mark.parametrize("value", [12.0, 24.0, 40.0])
def test_z_score_is_the_scaled_box_cox_transform(l: float, value: float) -> None:
    """scipy's Box-Cox transform of y/M, divided by S."""
    assert percentiles.z_score(value, Lms(l, 24, 0.15)) == pytest.approx(
        special.boxcox(value / 24, l) / 0.15, abs=1e-12
    )


@pytest.mark.parametrize("l", [-0.5, 0, 0.3])
@pytest.mark.parametrize("z", [-2.0, 0.0, 1.5])
def test_value_at_inverts_the_z_score(l: float, z: float) -> None:
    """The value at a z-score has that z-score."""
    lms = Lms(l, 24, 0.15)
    assert percentiles.z_score(percentiles.value_at(z, lms), lms) == pytest.approx(z, abs=1e-12)


@pytest.mark.parametrize("z", [-8.0, -1.2816, 0.0, 0.31, 5.0])
def test_percentile_is_the_normal_distribution(z: float) -> None:
    """Against scipy, also far in the tail."""
    assert percentiles.percentile(z) == pytest.approx(100 * stats.norm.cdf(z), rel=1e-12)


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_value_that_is_not_positive_is_refused(value: float) -> None:
    """There is no z-score of it."""
    with pytest.raises(ValueError, match="domain|positive"):
        percentiles.z_score(value, Lms(0.3, 24, 0.15))
