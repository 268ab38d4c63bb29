"""Correlation and regression against closed forms and independent matrix algebra."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from models.statistics import association

MODELS = pd.DataFrame(
    {"model": ["by_sex", "pooled"], "terms": ["age_years,bmi_kg_m2", "sex_male, age_years, bmi_kg_m2"]}
)


@pytest.fixture
def values():
    rng = np.random.default_rng(0)
    n = 300
    frame = pd.DataFrame(
        {
            "measure": "csa",
            "sex": np.where(np.arange(n) % 2, "F", "M"),
            "age_years": rng.uniform(20, 70, n),
            "height_cm": rng.normal(170, 8, n),
            "weight_kg": rng.normal(75, 12, n),
        }
    )
    frame["bmi_kg_m2"] = frame["weight_kg"] / (frame["height_cm"] / 100) ** 2
    frame.loc[:9, ["weight_kg", "bmi_kg_m2"]] = np.nan
    spread = 1 + frame["age_years"] / 30
    frame["value"] = 20 + 8 * (frame["sex"] == "M") - 0.1 * frame["age_years"] + spread * rng.normal(size=n)
    frame["value"] += 0.3 * frame["bmi_kg_m2"].fillna(26)
    return frame


def test_correlation_matches_the_closed_forms(values):
    table = association.correlate(values)
    assert list(table) == association.CORRELATION_COLUMNS
    assert len(table) == 4 * 3
    row = table[(table["covariate"] == "bmi_kg_m2") & (table["sex"] == "F")].iloc[0]
    women = values[(values["sex"] == "F")].dropna()
    r = np.corrcoef(women["value"], women["bmi_kg_m2"])[0, 1]
    n = len(women)
    limits = np.tanh(np.arctanh(r) + np.array([-1, 1]) * stats.norm.ppf(0.975) / np.sqrt(n - 3))
    t = r * np.sqrt((n - 2) / (1 - r**2))
    assert row["n"] == n == 145
    assert row[["r", "ci_low", "ci_high"]].tolist() == pytest.approx([r, *limits])
    assert row["p"] == pytest.approx(2 * stats.t.sf(abs(t), n - 2))


@pytest.mark.parametrize(
    ("r", "word"),
    [(0.0999, "negligible"), (-0.1, "weak"), (0.2999, "weak"), (-0.3, "moderate"), (0.5, "strong"), (-1, "strong")],
)
def test_strength(r, word):
    assert association.strength(r) == word


def test_a_covariate_is_not_correlated_with_itself_nor_with_a_constant(values):
    table = association.correlate(values.assign(measure="age_years", value=values["age_years"], height_cm=170.0))
    assert set(table["covariate"]) == {"weight_kg", "bmi_kg_m2"}


def hc3(values, terms):
    """Return estimates and HC3 standard errors straight from the definition."""
    cases = values.dropna()
    x = np.column_stack([np.ones(len(cases)), *(cases[term] for term in terms)])
    bread = np.linalg.inv(x.T @ x)
    estimate = bread @ x.T @ cases["value"].to_numpy()
    leverage = np.einsum("ij,jk,ik->i", x, bread, x)
    weight = ((cases["value"].to_numpy() - x @ estimate) / (1 - leverage)) ** 2
    return estimate, np.sqrt(np.diag(bread @ (x.T * weight) @ x @ bread)), len(cases)


def test_regression_matches_the_definition_of_hc3(values):
    table = association.regress(values, MODELS)
    assert list(table) == association.REGRESSION_COLUMNS
    men = table[(table["model"] == "by_sex") & (table["sex"] == "M")]
    estimate, se, n = hc3(values[values["sex"] == "M"], ["age_years", "bmi_kg_m2"])
    assert men["term"].tolist() == ["Intercept", "age_years", "bmi_kg_m2"]
    assert men["n"].tolist() == [n] * 3
    assert men["estimate"].tolist() == pytest.approx(estimate.tolist())
    assert men["se"].tolist() == pytest.approx(se.tolist())
    assert men["ci_high"].tolist() == pytest.approx((estimate + stats.t.ppf(0.975, n - 3) * se).tolist())
    assert men["p"].tolist() == pytest.approx((2 * stats.t.sf(abs(estimate / se), n - 3)).tolist())


def test_models_with_sex_are_pooled_only_and_recover_the_truth(values):
    table = association.regress(values, MODELS)
    by_model = table["sex"].fillna("pooled").groupby(table["model"]).agg(set)
    assert by_model.to_dict() == {"by_sex": {"F", "M"}, "pooled": {"pooled"}}
    male = table[table["term"] == "sex_male"].iloc[0]
    assert male["ci_low"] < 8 < male["ci_high"]
    assert 0 < male["r_squared"] < 1


def test_holm_covers_all_tests_of_a_measure_but_the_intercepts(values):
    table = association.regress(values, MODELS)
    tested = table[table["term"] != "Intercept"].sort_values("p")
    assert len(tested) == 7
    by_hand = np.minimum(np.maximum.accumulate(tested["p"].to_numpy() * np.arange(7, 0, -1)), 1)
    assert tested["p_holm"].tolist() == pytest.approx(by_hand.tolist())
    assert table.loc[table["term"] == "Intercept", "p_holm"].isna().all()


def test_nothing_is_fitted_to_too_few_persons_constants_or_collinear_terms(values):
    complete = values.dropna()
    models = MODELS.head(1)
    assert association.regress(complete[complete["sex"] == "F"].head(5), models).empty
    assert len(association.regress(complete[complete["sex"] == "F"].head(6), models)) == 3
    assert association.regress(complete.assign(age_years=50.0), models).empty
    assert association.regress(complete.assign(age_years=2 * complete["bmi_kg_m2"] + 1), models).empty
    assert association.regress(complete.assign(measure="age_years"), models).empty
