"""Validation figures against scipy, statsmodels and samples whose right answer is known."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from models.statistics import box_cox, calibration, normative

BANDS = np.array(["18-29", "30-39"])


@pytest.fixture(scope="module")
def sample():
    """Age, BMI, a value with L = 0.3, and the bands of both."""
    rng = np.random.default_rng(5)
    age, bmi = rng.uniform(20, 70, 3000), rng.normal(26, 4, 3000).clip(16, 45)
    m, s = 30 * np.exp(-0.004 * (age - 45) + 0.01 * (bmi - 26)), 0.12 + 0.001 * (age - 45)
    bands = pd.DataFrame(
        {"age_band": np.where(age < 45, "young", "old"), "bmi_band": np.where(bmi < 26, "low", "high")}
    )
    return age, bmi, box_cox.value_at(rng.normal(size=age.size), 0.3, m, s), bands


def test_coverage_counts_persons_below_with_exact_limits():
    rng = np.random.default_rng(1)
    z, band = rng.normal(size=500), BANDS[rng.integers(0, 2, 500)]
    table = calibration.coverage(z, band, None, (10, 50))
    assert table["age_band"].isna().sum() == 2 and set(table["age_band"].dropna()) == set(BANDS)
    for row in table.itertuples():
        own = z if pd.isna(row.age_band) else z[band == row.age_band]
        below = int((own < stats.norm.ppf(row.centile / 100)).sum())
        low, high = proportion_confint(below, own.size, method="beta")
        assert (row.n, row.observed_pct) == (own.size, pytest.approx(100 * below / own.size))
        assert (row.ci_low, row.ci_high) == pytest.approx((100 * low, 100 * high))
        assert 0 < row.p <= 1 and row.n_beyond == np.ceil(own.size * min(row.centile, 100 - row.centile) / 100)


def test_coverage_crosses_both_bands_and_leaves_small_cells_out():
    z = np.random.default_rng(2).normal(size=200)
    age_band = np.repeat(["a", "b"], 100)
    bmi_band = np.array(["x"] * 100 + ["y"] * 85 + ["x"] * 15)
    cells = calibration.coverage(z, age_band, bmi_band, (50,))[["age_band", "bmi_band", "n"]].to_numpy().tolist()
    assert [row[2] for row in cells] == [200, 100, 100, 115, 85, 100, 85]


def test_holm_is_that_of_statsmodels():
    p = np.random.default_rng(3).uniform(size=40) ** 3
    assert calibration.holm(p) == pytest.approx(multipletests(p, method="holm")[1])


def test_q_statistics_are_standard_normal_where_the_model_is_right_and_find_each_fault():
    rng = np.random.default_rng(4)
    band = np.repeat([f"{i:03d}" for i in range(300)], 100)
    found = calibration.q_statistics(rng.normal(size=band.size), band)
    for column in ("z1", "z2", "z3", "z4"):
        assert found[column].mean() == pytest.approx(0, abs=0.2) and found[column].std() == pytest.approx(1, abs=0.15)
    z, one = rng.normal(size=2000), np.repeat("a", 2000)
    faults = {"z1": z + 0.1, "z2": 1.1 * z, "z3": z + 0.1 * (z**2 - 1), "z4": z + 0.03 * z**3}
    for column, faulty in faults.items():
        assert abs(calibration.q_statistics(faulty, one)[column].iloc[0]) > 2.5


def test_worm_is_flat_inside_its_limits_for_normal_z_and_leaves_them_for_others():
    """The limits hold 95 % over 40 bands; an SD of 1.1 bends the worm by 0.1 z."""
    z = np.random.default_rng(5).normal(size=40_000)
    flat = calibration.worm(z, np.repeat([f"{i:02d}" for i in range(40)], 1000))
    assert (flat["deviation"].between(flat["ci_low"], flat["ci_high"])).mean() == pytest.approx(0.95, abs=0.04)
    band = np.repeat("a", z.size)
    wide = calibration.worm(1.1 * z, band).set_index("z")["deviation"]
    assert wide[2.0] == pytest.approx(0.2, abs=0.1) and wide[-2.0] == pytest.approx(-0.2, abs=0.1)
    assert (flat["n_beyond"] <= np.ceil(1000 * stats.norm.sf(np.abs(flat["z"])))).all()


def test_folds_are_fixed_and_equal():
    fold = calibration.assign_folds(103)
    assert np.bincount(fold).tolist() == [21, 21, 21, 20, 20] and (fold == calibration.assign_folds(103)).all()


def test_out_of_fold_scores_come_from_a_fit_without_the_person(sample):
    age, bmi, y, _ = sample
    model = normative.fit(age, bmi, y)
    models = calibration.cross_validate(model, age, bmi, y)
    z, fold = calibration.out_of_fold_z(models, age, bmi, y), calibration.assign_folds(y.size)
    others = fold != 2
    fresh = normative.fit(age[others], bmi[others], y[others])
    assert models[2].n == others.sum()
    own = box_cox.z_of(fresh, age[~others], bmi[~others], y[~others])
    assert z[~others] == pytest.approx(own, abs=0.1)
    assert calibration.moments(z)["z_sd"] == pytest.approx(1, abs=0.03)


def test_model_beats_banded_percentiles_on_smooth_truth(sample):
    age, bmi, y, bands = sample
    models = calibration.cross_validate(normative.fit(age, bmi, y), age, bmi, y)
    table = calibration.pinball(models, age, bmi, y, bands)
    assert (table["gain_pct"] > 2).all() and (table["z"] > 2.5).all() and (table["n"] == y.size).all()


def test_pinball_loss_is_the_absolute_error_at_the_median(sample):
    age, _, y, _ = sample
    models = calibration.cross_validate(normative.fit(age, None, y), age, None, y)
    table = calibration.pinball(models, age, None, y, pd.DataFrame({"age_band": np.repeat("all", y.size)}))
    fold = calibration.assign_folds(y.size)
    banded = [np.abs(y[fold == k] - np.median(y[fold != k])) for k in range(5)]
    row = table.set_index("centile").loc[50]
    assert row["banded_loss"] == pytest.approx(np.concatenate(banded).mean() / 2)


@pytest.mark.parametrize(("draw", "wins"), [("log-normal", "LNO"), ("heavy", "BCT")])
def test_families_are_told_apart(draw, wins):
    rng = np.random.default_rng(6)
    age, bmi = rng.uniform(20, 70, 4000), rng.normal(26, 4, 4000).clip(16, 45)
    z = rng.standard_t(4, 4000) if draw == "heavy" else rng.normal(size=4000)
    y = box_cox.value_at(z * 0.7, 0.0 if draw == "log-normal" else 0.5, 30.0, 0.12)
    table = calibration.compare_families(normative.fit(age, bmi, y), age, bmi, y).set_index("family")
    assert list(table.index) == ["NO", "LNO", "BCCG", "BCT"]
    assert table["gaic3"].idxmin() == wins
    if wins == "BCT":
        assert table.loc["BCT", "tail_df"] == pytest.approx(4, abs=1)
    else:
        assert table.loc["BCT", "tail_df"] > 30
