"""Is exclusion systematic? Logistic regression of being excluded on who a person is.

Belongs here: the model and its refusals. Does not belong here: counts of exclusions, which SQL makes (``sql/stats/exclusion.sql``).
"""

import numpy as np
import pandas as pd
import statsmodels.api as sm
from statsmodels.tools.sm_exceptions import PerfectSeparationError, PerfectSeparationWarning

LEAST_EVENTS_PER_TERM = 5
COLUMNS = ["term", "n", "n_excluded", "odds_ratio", "ci_low", "ci_high", "p", "reason"]


def regress_exclusion(persons: pd.DataFrame) -> pd.DataFrame:
    """Fit log odds of exclusion = b0 + b1 male + b2 age / 10 + b3 BMI / 5 + centre, by maximum likelihood.

    Parameters
    ----------
    persons : DataFrame
        One row per person: is_excluded, sex (F, M), age_years, bmi_kg_m2, centre. Persons without one of them, and
        centres in which nobody or everybody was excluded, are left out.

    Returns
    -------
    DataFrame
        term, n, n_excluded, odds_ratio with Wald 95 % interval and p value, reason. One row with the reason where fewer
        than five persons per term are excluded, or left, or the fit does not exist (separation).
    """
    cases = persons.dropna(subset=["sex", "age_years", "bmi_kg_m2", "centre"])
    share = cases.groupby("centre")["is_excluded"].transform("mean")
    cases = cases[(share > 0) & (share < 1)]
    design = pd.DataFrame(
        {
            "sex_male": (cases["sex"] == "M").astype(float),
            "age_10_years": cases["age_years"].astype(float) / 10,
            "bmi_5_kg_m2": cases["bmi_kg_m2"].astype(float) / 5,
        }
    )
    for centre in cases["centre"].value_counts().index[1:].sort_values():
        design[f"centre {centre}"] = (cases["centre"] == centre).astype(float)
    outcome = cases["is_excluded"].astype(float)
    n, n_excluded = len(cases), int(outcome.sum())
    needed = LEAST_EVENTS_PER_TERM * design.shape[1]
    if min(n_excluded, n - n_excluded) < needed:
        return _refuse(n, n_excluded, f"Needs {needed} persons excluded and as many left.")
    design = sm.add_constant(design, has_constant="add")
    if np.linalg.matrix_rank(design.to_numpy()) < design.shape[1]:
        return _refuse(n, n_excluded, "A term is constant, or follows from the others.")
    try:
        with np.errstate(all="ignore"):
            fit = sm.Logit(outcome, design).fit(disp=False)
    except (PerfectSeparationError, np.linalg.LinAlgError, PerfectSeparationWarning):
        return _refuse(n, n_excluded, "A term separates the excluded from the others.")
    if not fit.mle_retvals["converged"]:
        return _refuse(n, n_excluded, "A term separates the excluded from the others.")
    limits = fit.conf_int(0.05)
    table = pd.DataFrame(
        {"odds_ratio": np.exp(fit.params), "ci_low": np.exp(limits[0]), "ci_high": np.exp(limits[1]), "p": fit.pvalues}
    )
    table = table.drop(index="const").rename_axis("term").reset_index()
    return table.assign(n=n, n_excluded=n_excluded, reason=None)[COLUMNS]


def _refuse(n: int, n_excluded: int, reason: str) -> pd.DataFrame:
    row = {"term": "all", "n": n, "n_excluded": n_excluded, "reason": reason}
    return pd.DataFrame([row]).reindex(columns=COLUMNS)
