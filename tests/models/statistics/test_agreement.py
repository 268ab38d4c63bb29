"""Bland-Altman against closed forms, published tolerance factors, scipy and simulated coverage."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from models.statistics.agreement import agree, bland_altman, limit_interval


def test_differences_counted_by_hand():
    """Differences 1, 2, 3, 6: mean 3, SD sqrt(14/3)."""
    manual = np.array([10.0, 20.0, 30.0, 40.0])
    result = bland_altman(manual + [1, 2, 3, 6], manual)
    sd = np.sqrt(14 / 3)
    assert (result["n"], result["bias"], result["sd"]) == pytest.approx((4, 3, sd))
    assert (result["limit_low"], result["limit_high"]) == pytest.approx((3 - 1.96 * sd, 3 + 1.96 * sd))
    assert result["bias_high"] - 3 == pytest.approx(3.182446 * sd / 2)


@pytest.mark.parametrize(("n", "factor"), [(10, 2.911), (20, 2.396), (50, 2.065), (100, 1.927)])
def test_factors_are_the_published_one_sided_tolerance_factors(n, factor):
    """95 % content with 95 % confidence (Natrella 1963, table A-7): the upper end of a two-sided 90 % interval."""
    assert limit_interval(n, stats.norm.ppf(0.95), 0.90)[1] == pytest.approx(factor, abs=5e-4)


def test_factors_reduce_to_the_t_interval_and_for_large_samples_to_bland_and_altmans():
    assert limit_interval(12, z=0)[1] == pytest.approx(stats.t.ppf(0.975, 11) / np.sqrt(12))
    low, high = limit_interval(5000)
    assert (high - low) / 2 == pytest.approx(1.96 * np.sqrt(1 + 1.96**2 / 2) / np.sqrt(5000), rel=2e-3)


@pytest.mark.parametrize("n", [5, 30])
def test_intervals_of_the_limits_cover_as_promised(n):
    """Over 20,000 simulated samples; Bland and Altman's approximate interval would fail at n = 5."""
    rng = np.random.default_rng(n)
    samples = rng.normal(0.3, 2, (20_000, n))
    mean, sd = samples.mean(axis=1), samples.std(axis=1, ddof=1)
    low, high = limit_interval(n)
    true_limit = 0.3 + 1.96 * 2
    coverage = np.mean((mean + low * sd <= true_limit) & (true_limit <= mean + high * sd))
    assert coverage == pytest.approx(0.95, abs=0.005)
    approximate = stats.t.ppf(0.975, n - 1) * np.sqrt(1 / n + 1.96**2 / (2 * (n - 1)))
    if n == 5:
        assert np.mean(np.abs(mean + 1.96 * sd - true_limit) <= approximate * sd) < 0.94


def test_slope_and_its_interval_are_scipys():
    rng = np.random.default_rng(1)
    manual = rng.uniform(5, 20, 40)
    automatic = 1.1 * manual + rng.normal(0, 0.5, 40)
    result = bland_altman(automatic, manual)
    line = stats.linregress((automatic + manual) / 2, automatic - manual)
    half_width = stats.t.ppf(0.975, 38) * line.stderr
    assert result["slope"] == pytest.approx(line.slope)
    assert (result["slope_low"], result["slope_high"]) == pytest.approx(
        (line.slope - half_width, line.slope + half_width)
    )
    assert result["grows_with_size"]


def test_growing_spread_is_seen_and_the_ratio_limits_describe_it():
    """automatic = manual x lognormal(0.02, 0.05): ratio bias 2 %, limits exp(0.02 -+ 1.96 x 0.05) - 1."""
    rng = np.random.default_rng(2)
    manual = rng.uniform(1, 100, 2000)
    result = bland_altman(manual * rng.lognormal(0.02, 0.05, 2000), manual)
    assert result["grows_with_size"]
    assert result["ratio_bias_pct"] == pytest.approx(2.02, abs=0.4)
    limits = [100 * np.expm1(0.02 + sign * 1.96 * 0.05) for sign in (-1, 1)]
    assert (result["ratio_limit_low_pct"], result["ratio_limit_high_pct"]) == pytest.approx(limits, abs=0.5)
    for side, limit in zip(("low", "high"), limits, strict=True):
        low, high = (result[f"ratio_limit_{side}_{end}_pct"] for end in ("low", "high"))
        assert low < limit < high and high - low < 1


def test_constant_spread_does_not_grow():
    rng = np.random.default_rng(5)
    manual = rng.uniform(5, 20, 200)
    assert not bland_altman(manual + rng.normal(0.2, 0.5, 200), manual)["grows_with_size"]


def test_groups_and_too_few_pairs():
    pairs = pd.DataFrame(
        {"measure": ["a"] * 3 + ["b"], "automatic": [1.0, 2.0, np.nan, 0.0], "manual": [0.9, 2.1, 1.0, 1.0]}
    )
    table = agree(pairs, ["measure"]).set_index("measure")
    assert list(table["n"]) == [2, 1]
    assert table.loc["a", "limit_high"] == pytest.approx(1.96 * np.sqrt(0.02))
    assert np.isnan(table.loc["a", "slope"]) and table.loc["a", "grows_with_size"] is None
    assert np.isnan(table.loc["b", "limit_high"]) and np.isnan(table.loc["b", "ratio_bias_pct"])
    assert agree(pairs.iloc[:0], ["measure"]).empty
