"""Agreement of two ways to measure the same thing: Bland-Altman.

Belongs here: bias and limits of agreement with their intervals, proportional bias, ratio limits. Does not belong here:
which pairs belong together, the agreement of masks (`models.segmentation.evaluation`), suppression.
"""

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import stats

LIMIT_Z = 1.96
CONFIDENCE = 0.95
LEAST_PAIRS_FOR_SLOPE = 4
LIMITS = ("limit_low", "limit_low_low", "limit_low_high", "limit_high", "limit_high_low", "limit_high_high")


def agree(pairs: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return the Bland-Altman analysis of automatic minus manual, one row per group.

    Parameters
    ----------
    pairs : DataFrame
        The columns of `by`, automatic, manual: independent pairs in the unit of the measure. Incomplete ones are left out.
    by : list of str
        Columns that make a group.

    Returns
    -------
    DataFrame
        The columns of `by` and those of `bland_altman`.
    """
    complete = pairs.dropna(subset=["automatic", "manual"])
    rows = [
        dict(zip(by, key, strict=True))
        | bland_altman(group["automatic"].to_numpy(float), group["manual"].to_numpy(float))
        for key, group in complete.groupby(by, dropna=False)
    ]
    return pd.DataFrame(rows)


def bland_altman(automatic: np.ndarray, manual: np.ndarray) -> dict[str, float]:
    """Bias, limits of agreement, proportional bias and ratio limits of paired values.

    With d = automatic - manual of mean b and standard deviation s (n - 1): bias b with its t interval; limits of agreement
    b +- 1.96 s (Bland & Altman 1999, doi 10.1177/096228029900800204) with exact 95 % intervals (`limit_interval`).
    Proportional bias: slope of d on the mean of both, least squares with a t interval. Ratio limits: the same analysis on
    ln(automatic / manual), back-transformed to percent of the manual value.

    Parameters
    ----------
    automatic, manual : ndarray, shape (n,)
        In one unit; no NaN.

    Returns
    -------
    dict
        n; bias, bias_low, bias_high, sd; limit_low, limit_low_low, limit_low_high, limit_high, limit_high_low,
        limit_high_high (in the unit); slope, slope_low, slope_high (unit per unit, NaN below 4 pairs or where all means
        are equal); grows_with_size (whether |d - b| or d itself moves with the mean: two-sided p < 0.05 of the slope of
        either; None where there is no slope: then lead with the ratio limits); ratio_bias_pct, ratio_bias_low_pct,
        ratio_bias_high_pct, and the limits and their intervals as ratio_limit_..._pct (NaN where a value is not positive).
    """
    difference, mean = automatic - manual, (automatic + manual) / 2
    result = {"n": len(difference)} | _limits(difference)
    result |= _slope(difference, mean)
    is_positive = bool((automatic > 0).all() and (manual > 0).all())
    ratio = _limits(np.log(automatic / manual)) if is_positive else {}
    for name in ("bias", "bias_low", "bias_high", *LIMITS):
        result[f"ratio_{name}_pct"] = 100 * np.expm1(ratio.get(name, np.nan))
    return result


def limit_interval(n: int, z: float = LIMIT_Z, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Exact confidence interval of mean + z SD of a normal population, in sample SDs from the sample mean.

    (m + z sigma - mean) sqrt(n) / s follows the noncentral t distribution with n - 1 degrees of freedom and noncentrality
    z sqrt(n) (Carkeet 2015, doi 10.1097/OPX.0000000000000513; the one-sided normal tolerance factors of Owen 1968).

    Parameters
    ----------
    n : int
        Size of the sample, at least 2.
    z : float
        Quantile of the standard normal distribution.
    confidence : float
        Two-sided, with equal tails.

    Returns
    -------
    tuple of float
        Lower and upper factor k of mean + k s.
    """
    tails = np.array([1 - confidence, 1 + confidence]) / 2
    low, high = stats.nct.ppf(tails, n - 1, z * np.sqrt(n)) / np.sqrt(n)
    return float(low), float(high)


def _limits(difference: np.ndarray) -> dict[str, float]:
    n, bias = len(difference), difference.mean()
    names = ("bias_low", "bias_high", "sd", *LIMITS)
    if n < 2:
        return {"bias": bias} | dict.fromkeys(names, np.nan)
    sd = difference.std(ddof=1)
    half_width = stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * sd / np.sqrt(n)
    inner, outer = limit_interval(n)
    factors = (-LIMIT_Z, -outer, -inner, LIMIT_Z, inner, outer)
    values = (bias - half_width, bias + half_width, sd, *(bias + factor * sd for factor in factors))
    return {"bias": bias} | dict(zip(names, values, strict=True))


def _slope(difference: np.ndarray, mean: np.ndarray) -> dict[str, float | bool | None]:
    if len(mean) < LEAST_PAIRS_FOR_SLOPE or np.ptp(mean) == 0 or np.ptp(difference) == 0:
        return {"slope": np.nan, "slope_low": np.nan, "slope_high": np.nan, "grows_with_size": None}
    design = sm.add_constant(mean)
    fit = sm.OLS(difference, design).fit()
    spread = sm.OLS(np.abs(difference - difference.mean()), design).fit()
    low, high = fit.conf_int(1 - CONFIDENCE)[1]
    grows = bool(min(fit.pvalues[1], spread.pvalues[1]) < 1 - CONFIDENCE)
    return {"slope": fit.params[1], "slope_low": low, "slope_high": high, "grows_with_size": grows}
