"""Correlation and regression against closed forms and independent matrix algebra."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from patsy import cr
from scipy import stats
from statsmodels.stats.diagnostic import het_breuschpagan

from models.statistics import association

MODELS = pd.DataFrame(
    {"model": ["by_sex", "pooled"], "terms": ["age_years,bmi_kg_m2", "sex_male, age_years-50, bmi_kg_m2-25"]}
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
    ranks = women[["value", "bmi_kg_m2"]].rank()
    assert row["spearman"] == pytest.approx(np.corrcoef(ranks.T)[0, 1])
    p = np.sort(table["p"])
    assert np.sort(table["p_holm"]) == pytest.approx(np.minimum(np.maximum.accumulate(p * np.arange(12, 0, -1)), 1))


def test_correlation_of_ties_infinities_and_too_few(values):
    tied = values.assign(value=values["value"].round(-1), age_years=values["age_years"].round(-1))
    tied.loc[3, "value"], tied.loc[4, "age_years"] = np.inf, np.nan
    row = association.correlate(tied).query("covariate == 'age_years' and sex.isna()").iloc[0]
    pairs = tied.drop(index=[3, 4])[["value", "age_years"]]
    assert row["n"] == 298
    assert row["r"] == pytest.approx(pairs.corr().iloc[0, 1])
    assert row["spearman"] == pytest.approx(pairs.corr("spearman").iloc[0, 1])
    assert association.correlate(values.head(3)).empty
    assert association.correlate(values.assign(value=1.0)).empty


@pytest.mark.parametrize(
    ("r", "word"),
    [(0.0999, "negligible"), (-0.1, "weak"), (0.2999, "weak"), (-0.3, "moderate"), (0.5, "strong"), (-1, "strong")],
)
def test_strength(r, word):
    assert association.strength(r) == word


def test_a_covariate_is_not_correlated_with_itself_nor_with_a_constant(values):
    table = association.correlate(values.assign(measure="age_years", value=values["age_years"], height_cm=170.0))
    assert set(table["covariate"]) == {"weight_kg", "bmi_kg_m2"}


def oracle(values, formula):
    """The same model by statsmodels' formulas."""
    people = values.assign(sex_male=(values["sex"] == "M") * 1.0)
    return smf.ols(formula, people.replace(np.inf, np.nan)).fit(cov_type="HC3", use_t=True)


def of(table, model, sex=None):
    return table[(table["model"] == model) & (table["sex"].isna() if sex is None else table["sex"] == sex)]


@pytest.mark.parametrize("sex", ["F", "M", None])
def test_regression_is_that_of_statsmodels(values, sex):
    result = association.regress(values, MODELS)
    rows = of(result.coefficients, "by_sex", sex)
    people = values if sex is None else values[values["sex"] == sex]
    expected = oracle(people, "value ~ age_years + bmi_kg_m2")
    assert rows["term"].tolist() == ["Intercept", "age_years", "bmi_kg_m2"]
    assert (rows["n"] == expected.nobs).all()
    for column, wanted in (("estimate", expected.params), ("se", expected.bse), ("p", expected.pvalues)):
        assert rows[column].tolist() == pytest.approx(wanted.tolist())
    assert rows[["ci_low", "ci_high"]].to_numpy() == pytest.approx(expected.conf_int().to_numpy())
    complete = people.dropna()
    standard = oracle(
        complete.assign(**complete.select_dtypes("number").apply(stats.zscore)), "value ~ age_years + bmi_kg_m2"
    )
    assert rows["standardised"].tolist()[1:] == pytest.approx(standard.params.tolist()[1:])
    without = oracle(complete, "value ~ bmi_kg_m2")
    partial = (without.ssr - expected.ssr) / without.ssr
    assert rows["partial_r_squared"].iloc[1] == pytest.approx(partial)


def test_centring_moves_the_intercept_only(values):
    centred = of(association.regress(values, MODELS).coefficients, "pooled").set_index("term")["estimate"]
    plain = oracle(values, "value ~ sex_male + age_years + bmi_kg_m2").params
    assert centred["age_years"] == pytest.approx(plain["age_years"])
    at_reference = plain["Intercept"] + 50 * plain["age_years"] + 25 * plain["bmi_kg_m2"]
    assert centred["Intercept"] == pytest.approx(at_reference)


def test_fit_diagnostics_are_those_of_statsmodels(values):
    row = of(association.regress(values, MODELS).fits, "by_sex", "F").iloc[0]
    expected = oracle(values[values["sex"] == "F"], "value ~ age_years + bmi_kg_m2")
    assert row["r_squared"] == pytest.approx(expected.rsquared)
    assert row["adjusted_r_squared"] == pytest.approx(expected.rsquared_adj)
    assert row["residual_sd"] == pytest.approx(np.sqrt(expected.scale))
    assert row["residual_skewness"] == pytest.approx(pd.Series(expected.resid).pipe(stats.skew))
    assert row["residual_excess_kurtosis"] == pytest.approx(stats.kurtosis(expected.resid))
    assert row["breusch_pagan_p"] == pytest.approx(het_breuschpagan(expected.resid, expected.model.exog)[1])


def test_products_and_centres_are_those_of_statsmodels(values):
    values = values.assign(centre=np.array(["a", "b", "c"])[np.arange(len(values)) % 3])
    values.loc[:4, "centre"], values.loc[5:10, "centre"] = "tiny", "small"
    models = pd.DataFrame(
        {"model": ["product", "centre"], "terms": ["sex_male,age_years-50,sex_male:age_years-50", "age_years,centre"]}
    )
    result = association.regress(values, models)
    product = of(result.coefficients, "product").set_index("term")
    expected = oracle(values.assign(a=values["age_years"] - 50), "value ~ sex_male * a")
    assert product["estimate"].tolist() == pytest.approx(expected.params.tolist())
    assert product["se"].tolist() == pytest.approx(expected.bse.tolist())
    pooled = values.assign(centre=values["centre"].replace({"tiny": "", "small": ""}))
    expected = oracle(pooled, "value ~ age_years + C(centre)")
    assert of(result.coefficients, "centre")["term"].tolist() == ["Intercept", "age_years"]
    test = of(result.tests, "centre").iloc[0]
    wald = expected.f_test("C(centre)[T.a] = 0, C(centre)[T.b] = 0, C(centre)[T.c] = 0")
    assert (test["test"], test["n"], test["df"]) == ("centre", 300, 3)
    assert (test["f"], test["p"]) == pytest.approx((float(wald.fvalue), float(wald.pvalue)))


def test_the_spline_spans_the_same_curves_as_patsys_natural_spline(values):
    models = pd.DataFrame({"model": ["spline"], "terms": ["spline(age_years-50)"]})
    values = values.assign(value=values["value"] - 0.01 * (values["age_years"] - 45) ** 2)
    result = association.regress(values, models)
    knots = np.quantile(values["age_years"], association.KNOT_QUANTILES)
    age = values["age_years"].to_numpy()
    inside = (age >= knots[0]) & (age <= knots[-1])
    ours = association.natural_spline(age[inside], age, 50.0)
    theirs = np.asarray(cr(age[inside], knots=knots[1:-1], lower_bound=knots[0], upper_bound=knots[-1]))
    fitted = theirs @ np.linalg.lstsq(theirs, ours, rcond=None)[0]
    assert fitted == pytest.approx(ours, abs=1e-8)
    tail = np.array([knots[-1] + 1, knots[-1] + 2, knots[-1] + 3])
    assert np.diff(association.natural_spline(tail, age, 50.0), 2, axis=0) == pytest.approx(0, abs=1e-8)
    design = pd.DataFrame(association.natural_spline(age, age, 50.0), columns=["a", "b", "c", "d"])
    expected = oracle(pd.concat([values, design], axis=1), "value ~ a + b + c + d")
    tests = of(result.tests, "spline").set_index("test")
    wald = expected.f_test("b = 0, c = 0, d = 0")
    assert tests.loc["age_years: nonlinear", "p"] == pytest.approx(float(wald.pvalue))
    assert tests.loc["age_years: nonlinear", "p"] < 0.001
    row = of(result.coefficients, "spline").set_index("term").loc["age_years: 30 against 50"]
    contrast = expected.t_test(np.r_[0, association.natural_spline(np.array([30.0]), age, 50.0)[0]])
    assert (row["estimate"], row["se"]) == pytest.approx((float(contrast.effect[0]), float(contrast.sd[0, 0])))


def test_a_curve_that_rises_and_falls_has_no_correlation_and_a_sure_nonlinear_part(values):
    values = values.assign(age_years=np.linspace(20, 70, len(values)))
    age = values["age_years"]
    curve = -((age - age.mean()) ** 2) / 50
    noise = np.random.default_rng(5).normal(size=len(age))
    values = values.assign(value=curve + noise)
    r = association.correlate(values, ["age_years"]).query("sex.isna()")["r"].item()
    models = pd.DataFrame({"model": ["spline"], "terms": ["spline(age_years-50)"]})
    p = of(association.regress(values, models).tests, "spline").set_index("test")["p"]["age_years: nonlinear"]
    assert abs(r) < 0.1 and p < 1e-20


def test_models_with_sex_are_pooled_only_and_recover_the_truth(values):
    table = association.regress(values, MODELS).coefficients
    by_model = table["sex"].fillna("pooled").groupby(table["model"]).agg(set)
    assert by_model.to_dict() == {"by_sex": {"F", "M", "pooled"}, "pooled": {"pooled"}}
    male = table[table["term"] == "sex_male"].iloc[0]
    assert male["ci_low"] < 8 < male["ci_high"]
    assert 0 < male["r_squared"] < 1


def test_holm_covers_all_tests_but_the_intercepts(values):
    table = association.regress(values, MODELS).coefficients
    tested = table[table["term"] != "Intercept"].sort_values("p")
    assert len(tested) == 9
    by_hand = np.minimum(np.maximum.accumulate(tested["p"].to_numpy() * np.arange(9, 0, -1)), 1)
    assert tested["p_holm"].tolist() == pytest.approx(by_hand.tolist())
    assert table.loc[table["term"] == "Intercept", "p_holm"].isna().all()


def test_nothing_is_fitted_to_too_few_persons_constants_or_collinear_terms(values):
    complete = values.dropna()
    women = complete[complete["sex"] == "F"]
    models = MODELS.head(1)

    def n_rows(people):
        return len(of(association.regress(people, models).coefficients, "by_sex", "F"))

    assert n_rows(women.head(5)) == 0
    assert n_rows(women.head(6)) == 3
    assert n_rows(complete.assign(age_years=50.0)) == 0
    assert n_rows(complete.assign(value=1.0)) == 0
    assert n_rows(complete.assign(age_years=2 * complete["bmi_kg_m2"] + 1)) == 0
    assert n_rows(complete.assign(measure="age_years")) == 0
    infinite = women.assign(value=women["value"].where(np.arange(len(women)) > 0, np.inf))
    assert of(association.regress(infinite, models).coefficients, "by_sex", "F")["n"].eq(len(women) - 1).all()
