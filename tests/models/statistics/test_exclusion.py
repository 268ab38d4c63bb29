"""Exclusion: the regression finds what was put in, and refuses what it cannot know."""

import numpy as np
import pandas as pd
import pytest

from models.statistics.exclusion import regress_exclusion


def _draw(n: int, bmi_effect: float, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    bmi = rng.normal(26, 4.5, n)
    risk = 1 / (1 + np.exp(2.7 - bmi_effect * (bmi - 26) / 5))
    columns = {"sex": rng.choice(["F", "M"], n), "age_years": rng.uniform(20, 72, n), "bmi_kg_m2": bmi}
    return pd.DataFrame(columns | {"centre": rng.choice(["1", "2", "3"], n), "is_excluded": rng.random(n) < risk})


def test_known_odds_ratio_lies_in_its_interval_and_the_others_near_one():
    table = regress_exclusion(_draw(20_000, np.log(1.5))).set_index("term")
    assert table.loc["bmi_5_kg_m2", "ci_low"] < 1.5 < table.loc["bmi_5_kg_m2", "ci_high"]
    assert table.loc["bmi_5_kg_m2", "p"] < 1e-6
    assert set(table.index) == {"sex_male", "age_10_years", "bmi_5_kg_m2", *(f for f in table.index if "centre" in f)}
    assert table["n"].eq(20_000).all() and len(table) == 5


def test_no_effect_is_found_in_about_five_percent_of_samples():
    p = [regress_exclusion(_draw(2000, 0.0, seed)).set_index("term").loc["bmi_5_kg_m2", "p"] for seed in range(60)]
    assert np.mean(np.array(p) < 0.05) < 0.15


@pytest.mark.parametrize("n", [0, 40])
def test_too_few_exclusions_are_refused_with_a_reason(n):
    table = regress_exclusion(_draw(n, 0.0))
    assert len(table) == 1 and table["odds_ratio"].isna().all() and "Needs" in table["reason"].iloc[0]


def test_separation_is_refused():
    persons = _draw(500, 0.0).assign(centre="1")
    persons["is_excluded"] = persons["bmi_kg_m2"] > 30
    assert regress_exclusion(persons)["odds_ratio"].isna().all()
