"""Associations of measures with sex, age, height, weight and BMI.

Belongs here: Pearson correlation and ordinary least squares, with intervals and p values.
Does not belong here: the choice of models (ref.regression_model), centiles, suppression.

Input everywhere is a long frame with one row per person and measure: measure, value, sex, age_years, height_cm,
weight_kg, bmi_kg_m2. In results a null sex means both sexes pooled.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.multitest import multipletests

COVARIATES = ("age_years", "height_cm", "weight_kg", "bmi_kg_m2")
SEX_MALE = "sex_male"
LEAST_PAIRS = 4
CORRELATION_COLUMNS = ["measure", "covariate", "sex", "n", "r", "ci_low", "ci_high", "p", "strength"]
REGRESSION_COLUMNS = [
    "model",
    "measure",
    "sex",
    "term",
    "n",
    "estimate",
    "se",
    "ci_low",
    "ci_high",
    "p",
    "p_holm",
    "r_squared",
]


def correlate(values: pd.DataFrame, covariates: Sequence[str] = COVARIATES) -> pd.DataFrame:
    """Return Pearson's r of every measure with every covariate, by sex and pooled.

    Parameters
    ----------
    values : DataFrame
        See the module's docstring.
    covariates : sequence of str
        Columns of `values`.

    Returns
    -------
    DataFrame
        measure, covariate, sex, n (complete pairs), r, ci_low, ci_high (95 %, Fisher 1921), p (two-sided t test),
        strength (negligible below 0.1, weak below 0.3, moderate below 0.5, else strong). No row for fewer than 4
        pairs, a constant, or a covariate with itself.
    """
    rows = []
    for measure, sex, group in _groups(values):
        for covariate in covariates:
            pairs = group[["value", covariate]].dropna().astype(float)
            if covariate == measure or len(pairs) < LEAST_PAIRS or (pairs.nunique() == 1).any():
                continue
            result = stats.pearsonr(pairs[covariate], pairs["value"])
            limits = result.confidence_interval(0.95)
            r = result.statistic
            rows.append([measure, covariate, sex, len(pairs), r, limits.low, limits.high, result.pvalue, strength(r)])
    return pd.DataFrame(rows, columns=CORRELATION_COLUMNS).astype({"sex": str})


def strength(r: float) -> str:
    """Return the word for a correlation: negligible |r| < 0.1, weak < 0.3, moderate < 0.5, else strong."""
    return ("negligible", "weak", "moderate", "strong")[int(np.digitize(abs(r), [0.1, 0.3, 0.5]))]


def regress(values: pd.DataFrame, models: pd.DataFrame) -> pd.DataFrame:
    """Return ordinary least squares with HC3 standard errors (MacKinnon & White 1985) for every measure and model.

    Parameters
    ----------
    values : DataFrame
        See the module's docstring.
    models : DataFrame
        model, terms: column names separated by commas. A model with sex_male (1 = male, 0 = female) is fitted to both
        sexes together, any other within each sex.

    Returns
    -------
    DataFrame
        model, measure, sex, term (Intercept, ...), n (complete cases), estimate (unit of the measure per unit of the
        term), se, ci_low, ci_high (95 %, t with n - p degrees of freedom), p, p_holm (Holm over all tests of the
        measure but the intercepts, which have none), r_squared. No rows where n <= p + 2, p the number of parameters,
        or the terms are constant or collinear, or a term is the measure itself.
    """
    tables = [
        _fit(
            group.assign(**{SEX_MALE: group["sex"].map({"F": 0.0, "M": 1.0})}), terms.replace(" ", "").split(",")
        ).assign(model=model, measure=measure, sex=sex)
        for measure, sex, group in _groups(values)
        for model, terms in zip(models["model"], models["terms"], strict=True)
        if (SEX_MALE in terms) == (sex is None) and measure not in terms.replace(" ", "").split(",")
    ]
    tables = [table for table in tables if len(table)]
    if not tables:
        return pd.DataFrame(columns=REGRESSION_COLUMNS)
    table = pd.concat(tables, ignore_index=True).astype({"sex": str})
    tested = table[table["term"] != "Intercept"]
    table["p_holm"] = tested.groupby("measure")["p"].transform(lambda p: multipletests(p, method="holm")[1])
    return table[REGRESSION_COLUMNS]


def _groups(values: pd.DataFrame) -> Iterator[tuple[str, str | None, pd.DataFrame]]:
    """Yield measure, sex (None = pooled) and their rows."""
    for measure, rows in values.groupby("measure", observed=True):
        yield measure, None, rows
        for sex, group in rows.groupby("sex", observed=True):
            yield measure, sex, group


def _fit(group: pd.DataFrame, terms: list[str]) -> pd.DataFrame:
    """Return one row per parameter, none where the model cannot be fitted."""
    cases = group[["value", *terms]].dropna().astype(float)
    design = sm.add_constant(cases[terms], has_constant="add").rename(columns={"const": "Intercept"})
    n, parameters = design.shape
    if n <= parameters + 2 or np.linalg.matrix_rank(design.to_numpy()) < parameters:
        return pd.DataFrame()
    result = sm.OLS(cases["value"], design).fit(cov_type="HC3", use_t=True)
    limits = result.conf_int(0.05)
    columns = {"n": n, "estimate": result.params, "se": result.bse, "ci_low": limits[0], "ci_high": limits[1]}
    table = pd.DataFrame(columns | {"p": result.pvalues, "r_squared": result.rsquared})
    return table.rename_axis("term").reset_index()
