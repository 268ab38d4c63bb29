"""Descriptive statistics against scipy, numpy and counting by hand."""

import time

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from models.statistics import descriptive


def people(n, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "measure": rng.choice(["csa", "vol"], n),
            "value": rng.normal(20, 4, n).round(1),
            "sex": rng.choice(["F", "M"], n),
            "age_band": rng.choice(["18-29", "30-39", "40-49"], n),
            "bmi_band": rng.choice(["<25", ">=25"], n),
        }
    )
    frame.loc[frame.index % 10 == 0, "bmi_band"] = None
    return frame


def cell(table, measure="csa", sex=None, age=None, bmi=None):
    chosen = table["measure"] == measure
    for column, wanted in (("sex", sex), ("age_band", age), ("bmi_band", bmi)):
        chosen &= table[column].isna() if wanted is None else table[column] == wanted
    assert chosen.sum() == 1
    return table[chosen].iloc[0]


@pytest.mark.parametrize(
    ("sex", "age", "bmi"), [("F", "18-29", "<25"), ("M", None, None), (None, None, ">=25"), (None,) * 3]
)
def test_mean_and_interval_are_those_of_scipy(sex, age, bmi):
    values = people(900)
    wanted = values[values["measure"] == "csa"]
    for column, key in (("sex", sex), ("age_band", age), ("bmi_band", bmi)):
        wanted = wanted if key is None else wanted[wanted[column] == key]
    row = cell(descriptive.describe(values), sex=sex, age=age, bmi=bmi)
    interval = stats.ttest_1samp(wanted["value"], 0).confidence_interval(0.95)
    assert row["n"] == len(wanted)
    assert row[["mean", "sd"]].tolist() == pytest.approx([wanted["value"].mean(), np.std(wanted["value"], ddof=1)])
    assert row[["ci_low", "ci_high"]].tolist() == pytest.approx([interval.low, interval.high])


def test_every_combination_has_one_row_and_shares_follow_the_rule():
    table = descriptive.describe(people(900))
    assert len(table) == 2 * 3 * 4 * 3
    assert not table.duplicated(["measure", "sex", "age_band", "bmi_band"]).any()
    women, everyone = cell(table, sex="F"), cell(table)
    assert everyone["pct"] == 100
    assert women["pct"] == pytest.approx(100 * women["n"] / everyone["n"])
    banded = cell(table, sex="F", age="30-39", bmi="<25")
    assert banded["pct"] == pytest.approx(100 * banded["n"] / women["n"])
    pooled = cell(table, age="30-39")
    assert pooled["pct"] == pytest.approx(100 * pooled["n"] / everyone["n"])


def test_a_person_without_bmi_counts_only_where_bmi_is_all():
    values = people(900)
    table = descriptive.describe(values)
    banded = sum(cell(table, bmi=band)["n"] for band in ("<25", ">=25"))
    csa = values[values["measure"] == "csa"]
    assert cell(table)["n"] == len(csa)
    assert banded == csa["bmi_band"].notna().sum() < len(csa)


def test_one_person_has_no_spread():
    row = cell(descriptive.describe(people(900).query("measure == 'csa'").head(1)))
    assert row["n"] == 1
    assert row[["sd", "ci_low", "ci_high"]].isna().all()


def test_percentiles_are_those_of_numpy():
    values = people(700)
    table = descriptive.band_percentiles(values)
    wanted = values.query("measure == 'vol' and sex == 'M' and age_band == '40-49'")["value"]
    row = cell(table, "vol", "M", "40-49")
    assert row[["p10", "p25", "p50", "p75", "p90"]].tolist() == pytest.approx(
        np.percentile(wanted, [10, 25, 50, 75, 90]).tolist()
    )


def test_percentile_limits_are_those_of_the_quantile_test():
    values = pd.DataFrame(
        {"measure": "csa", "value": np.arange(1.0, 101), "sex": "F", "age_band": "a", "bmi_band": "b"}
    )
    row = cell(descriptive.band_percentiles(values))
    for percent in (10, 25, 50, 75, 90):
        low, high = int(row[f"p{percent}_low"]), int(row[f"p{percent}_high"])
        below = stats.binom(100, percent / 100)
        assert below.cdf(high - 1) - below.cdf(low - 1) >= 0.95
        assert below.cdf(low - 1) < 0.025 <= below.cdf(low)
        assert below.cdf(high - 2) < 0.975
    assert (row["p50_low"], row["p50_high"]) == (40, 61)


def test_limits_of_small_samples_are_null():
    values = people(900).query("measure == 'csa'").head(10)
    row = cell(descriptive.band_percentiles(values))
    assert np.isnan(row["p10_low"]) and np.isnan(row["p10_high"]) and np.isfinite(row["p10"])
    assert np.isfinite(row["p50_low"])


def test_limits_cover_the_true_percentile():
    rng = np.random.default_rng(1)
    sample = pd.DataFrame({"value": rng.normal(size=400 * 60), "measure": np.repeat(np.arange(400).astype(str), 60)})
    table = descriptive.band_percentiles(sample.assign(sex="F", age_band="a", bmi_band="b")).query("sex.isna()")
    table = table[table["age_band"].isna() & table["bmi_band"].isna()]
    true = stats.norm.ppf(0.25)
    assert 0.94 <= np.mean((table["p25_low"] <= true) & (true <= table["p25_high"])) <= 1


def test_full_size_takes_seconds():
    values = people(333_000)
    began = time.perf_counter()
    descriptive.describe(values)
    descriptive.band_percentiles(values)
    assert time.perf_counter() - began < 10
