"""Descriptive statistics by sex, age band and BMI band.

Belongs here: bands, counts, shares, means with limits, empirical percentiles with limits. Does not belong here:
suppression of small cells (disclosure.py), model-based centiles (normative.py), the definition of the bands.

Input everywhere is a long frame with one row per person and measure: measure, value, sex, age_band, bmi_band. A null
sex or band leaves the person out of the cells of that sex or band, not out of the pooled ones. In results a null
means pooled or all.
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

KEYS = ["sex", "age_band", "bmi_band"]
PERCENTILES = (10, 25, 50, 75, 90)
CONFIDENCE = 0.95


def describe(values: pd.DataFrame) -> pd.DataFrame:
    """Return counts, shares, means and SDs for every combination of {sex, pooled} x {age band, all} x {BMI band, all}.

    Returns
    -------
    DataFrame
        measure, sex, age_band, bmi_band, n, pct, mean, sd, ci_low, ci_high. pct: of the same sex (or pooled) over all
        bands for a banded cell, of both sexes for a row by sex alone, else 100. sd: n - 1 in the denominator, null
        for n = 1. ci_low, ci_high: 95 % t interval of the mean, mean +- t(0.975, n - 1) sd / sqrt(n). Units are those
        of the measure.
    """
    values = _prepared(values)
    cells = [
        values.groupby(by, observed=True)["value"].agg(n="count", mean="mean", sd="std").reset_index()
        for by in _groupings()
    ]
    table = pd.concat(cells, ignore_index=True)
    half_width = stats.t.ppf((1 + CONFIDENCE) / 2, table["n"] - 1) * table["sd"] / np.sqrt(table["n"])
    table = _ordered(table.assign(ci_low=table["mean"] - half_width, ci_high=table["mean"] + half_width))
    return table.assign(pct=_share(table))[["measure", *KEYS, "n", "pct", "mean", "sd", "ci_low", "ci_high"]]


def band_percentiles(values: pd.DataFrame) -> pd.DataFrame:
    """Return P10, P25, P50, P75, P90 with 95 % limits for the same combinations as `describe`.

    Percentiles are of type 7 (Hyndman & Fan 1996, numpy's default). The limits are the order statistics with ranks l
    = B(0.025) and u = B(0.975) + 1, B the quantiles of Binomial(n, p): distribution-free, coverage at least 95 %
    (Conover 1999, section 3.2). Both are null where l < 1 or u > n.

    Returns
    -------
    DataFrame
        measure, sex, age_band, bmi_band, n, then p10, p10_low, p10_high, ... p90_high in the unit of the measure.
    """
    values = _prepared(values)
    return _ordered(pd.concat([_percentiles_by(values, by) for by in _groupings()], ignore_index=True))


def count_beyond(values: pd.DataFrame, percentiles: pd.DataFrame) -> pd.DataFrame:
    """Return how many persons lie beyond each percentile and limit, on the side where fewer do; ties lie on neither.

    No more are counted than the percentile's own share of the persons: a P10 that needs k beyond it needs k / 0.10 in all.

    Parameters
    ----------
    values : DataFrame
        See the module's docstring.
    percentiles : DataFrame
        `band_percentiles` of the same values.

    Returns
    -------
    DataFrame
        Index of `percentiles`, columns p10, p10_low, ... p90_high; 0 where the percentile is null.
    """
    values, columns = (
        _prepared(values),
        [f"p{percent}{end}" for percent in PERCENTILES for end in ("", "_low", "_high")],
    )
    share = np.repeat([min(percent, 100 - percent) / 100 for percent in PERCENTILES], 3)
    keys = percentiles[["measure", *KEYS]].astype(object)
    row_of = {key: row for row, key in enumerate(keys.where(keys.notna(), None).itertuples(index=False, name=None))}
    shown, beyond = percentiles[columns].to_numpy(float), np.zeros((len(percentiles), len(columns)), dtype=int)
    for by in _groupings():
        for key, group in values.groupby(by, observed=True)["value"]:
            named = dict(zip(by, key, strict=True))
            row, ordered = row_of[tuple(named.get(name) for name in ("measure", *KEYS))], np.sort(group.to_numpy())
            below = np.searchsorted(ordered, shown[row], "left")
            above = len(ordered) - np.searchsorted(ordered, shown[row], "right")
            fewest = np.minimum.reduce([below, above, np.floor(len(ordered) * share).astype(int)])
            beyond[row] = np.where(np.isfinite(shown[row]), fewest, 0)
    return pd.DataFrame(beyond, columns=columns, index=percentiles.index)


def _prepared(values: pd.DataFrame) -> pd.DataFrame:
    kept = values.loc[np.isfinite(values["value"].astype(float)), ["measure", "value", *KEYS]]
    return kept.astype(dict.fromkeys(["measure", *KEYS], "category") | {"value": float})


def _groupings() -> Iterator[list[str]]:
    """Yield measure with every subset of the keys, the empty one first."""
    for size in range(len(KEYS) + 1):
        for keys in combinations(KEYS, size):
            yield ["measure", *keys]


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with all keys as text, null where pooled, in front and sorted by them, the pooled first."""
    front = ["measure", *KEYS]
    table = table.reindex(columns=[*front, *table.columns.difference(front, sort=False)])
    table = table.astype(dict.fromkeys(front, str))
    return table.sort_values(front, na_position="first", kind="stable", ignore_index=True)


def _share(table: pd.DataFrame) -> pd.Series:
    """Return each row's n in percent of the next larger group."""
    sex = table["sex"].fillna("pooled")
    is_banded = table[["age_band", "bmi_band"]].notna().any(axis=1)
    of_sex = table[~is_banded].set_index([table.loc[~is_banded, "measure"], sex[~is_banded]])["n"]
    larger = pd.MultiIndex.from_arrays([table["measure"], sex.where(is_banded, "pooled")])
    return 100 * table["n"] / of_sex.reindex(larger).to_numpy()


def _percentiles_by(values: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    values = values.dropna(subset=by)
    group = values.groupby(by, observed=True).ngroup().to_numpy()
    order = np.lexsort((values["value"].to_numpy(), group))
    ordered, group = values["value"].to_numpy()[order], group[order]
    start = np.flatnonzero(np.diff(group, prepend=-1))
    n = np.diff(start, append=group.size)
    table = values[by].iloc[order[start]].reset_index(drop=True).assign(n=n)
    for percent in PERCENTILES:
        for end, rank in zip(("", "_low", "_high"), _percentile_ranks(n, percent), strict=True):
            known = np.isfinite(rank)
            table[f"p{percent}{end}"] = np.where(known, _at_rank(ordered, start, np.where(known, rank, 0)), np.nan)
    return table


def _percentile_ranks(n: np.ndarray, percent: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the ranks (0 = smallest) among n values of a percentile of type 7, its lower and its upper limit.

    The limits have ranks l - 1 and u - 1 of `band_percentiles`; both are NaN where n is too small for them.
    """
    p = percent / 100
    low, high = stats.binom.ppf((1 - CONFIDENCE) / 2, n, p), stats.binom.ppf((1 + CONFIDENCE) / 2, n, p) + 1
    limited = (low >= 1) & (high <= n)
    return (n - 1) * p, np.where(limited, low - 1, np.nan), np.where(limited, high - 1, np.nan)


def _at_rank(ordered: np.ndarray, start: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Return each group's value at a rank (0 = smallest), between ranks by linear interpolation."""
    below, above = np.floor(rank).astype(int), np.ceil(rank).astype(int)
    return ordered[start + below] + (rank - below) * (ordered[start + above] - ordered[start + below])
