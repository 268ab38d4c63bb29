"""Agreement of two readers on categories, by measures that hold where almost every case is of one kind.

Belongs here: observed agreement, Gwet's AC1 with its interval, PABAK, and Cohen's kappa for comparison. Does not belong here: which
readings make a pair, agreement of measurements (`agreement.py`).

Where 95 of 100 cases are accepted, kappa is near 0 although readers hardly ever differ (Feinstein and Cicchetti 1990); AC1 (Gwet 2008) and
PABAK (Byrt et al. 1993) are not misled.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

CONFIDENCE = 0.95


def agree_on_categories(pairs: pd.DataFrame, by: list[str], categories: Sequence[str]) -> pd.DataFrame:
    """Return the agreement of the verdicts of two readers, one row per group.

    Parameters
    ----------
    pairs : DataFrame
        The columns of `by`, first_verdict, second_verdict: one row per case read twice.
    by : list of str
        Columns that make a group.
    categories : sequence of str
        All that a verdict can be.

    Returns
    -------
    DataFrame
        The columns of `by` and those of `summarise_agreement`.
    """
    rows = [
        dict(zip(by, key, strict=True))
        | summarise_agreement(cross_tabulate(group["first_verdict"], group["second_verdict"], categories))
        for key, group in pairs.groupby(by, dropna=False)
    ]
    return pd.DataFrame(rows)


def cross_tabulate(first: pd.Series, second: pd.Series, categories: Sequence[str]) -> np.ndarray:
    """Counts (q, q): first verdict in the rows, second in the columns, in the order of `categories`."""
    kinds = [pd.Categorical(verdicts, categories) for verdicts in (first, second)]
    return pd.crosstab(*kinds, dropna=False).reindex(index=categories, columns=categories, fill_value=0).to_numpy()


def summarise_agreement(counts: np.ndarray) -> dict[str, float]:
    """Agreement from a table of counts.

    p_a = sum_k p_kk. AC1 = (p_a - p_e) / (1 - p_e), p_e = sum_k pi_k (1 - pi_k) / (q - 1), pi_k the mean of both readers' shares of
    category k; its variance is Gwet's (2008, equation 33), its interval Student's with n - 1 degrees of freedom, cut at 1.
    PABAK = (q p_a - 1) / (q - 1). Kappa = (p_a - sum_k p_k+ p_+k) / (1 - sum_k p_k+ p_+k).

    Parameters
    ----------
    counts : ndarray (q, q)
        Cases by the verdicts of both readers; q >= 2.

    Returns
    -------
    dict
        n, observed_pct, ac1, ac1_low, ac1_high, pabak, kappa; NaN where it does not exist.
    """
    n, q = int(counts.sum()), len(counts)
    if n == 0:
        return {"n": 0} | dict.fromkeys(("observed_pct", "ac1", "ac1_low", "ac1_high", "pabak", "kappa"), np.nan)
    shares = counts / n
    observed = float(np.trace(shares))
    first, second = shares.sum(axis=1), shares.sum(axis=0)
    mean_share = (first + second) / 2
    by_chance = float((mean_share * (1 - mean_share)).sum() / (q - 1))
    ac1 = (observed - by_chance) / (1 - by_chance)
    half_width = np.nan
    if n > 1:
        half_width = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * np.sqrt(_ac1_variance(shares, n, ac1, by_chance)))
    chance_of_kappa = float(first @ second)
    return {
        "n": n,
        "observed_pct": 100 * observed,
        "ac1": ac1,
        "ac1_low": ac1 - half_width,
        "ac1_high": min(ac1 + half_width, 1.0),
        "pabak": (q * observed - 1) / (q - 1),
        "kappa": (observed - chance_of_kappa) / (1 - chance_of_kappa) if chance_of_kappa < 1 else np.nan,
    }


def _ac1_variance(shares: np.ndarray, n: int, ac1: float, by_chance: float) -> float:
    """Variance of AC1 of two readers from the spread of each case's own contribution."""
    q = len(shares)
    mean_share = (shares.sum(axis=0) + shares.sum(axis=1)) / 2
    # Of a case with verdicts k and l: whether they agree, less what the chance term owes to it.
    chance = (1 - (mean_share[:, None] + mean_share[None, :]) / 2) / (q - 1)
    own = (np.eye(q) - by_chance) / (1 - by_chance)
    own = own - 2 * (1 - ac1) * (chance - by_chance) / (1 - by_chance)
    return float((shares * (own - ac1) ** 2).sum() / n)
