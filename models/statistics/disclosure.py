"""Small-cell suppression, in one place.

Belongs here: what may be shown of a table of aggregates, decided on raw counts. Direction: a suppressed cell is null,
never 0. Does not belong here: computing the tables, rounding (after suppression, never before), access rules.

The rules: no cell under k persons; an extreme percentile only where about k persons lie beyond it (P10 and P90 from
k/0.10, P25 and P75 from k/0.25, P50 from k); in a margin no single suppressed cell that subtraction would give back
(Hundepool et al., Statistical Disclosure Control, 2012). The last rule guards each margin on its own; it
does not solve the linear programme over all.
"""

import re
from collections.abc import Sequence

import pandas as pd

_PERCENTILE = re.compile(r"p(\d+)(_low|_high)?")


def suppress(frame: pd.DataFrame, least: int, statistics: Sequence[str], n: str = "n") -> pd.DataFrame:
    """Return the table without its small cells.

    Parameters
    ----------
    frame : DataFrame
        One row per cell; `n` holds raw counts of persons.
    least : int
        k, the smallest count that may be shown.
    statistics : sequence of str
        Columns that are emptied together with `n`. Percentile columns (p10, p10_low, ...) follow their own, stricter
        rule.
    n : str
        The column of counts; it comes back as nullable integer.
    """
    return _emptied(frame, frame[n] < least, least, statistics, n)


def suppress_complements(
    frame: pd.DataFrame,
    least: int,
    statistics: Sequence[str],
    within: Sequence[str],
    margins: Sequence[str],
    n: str = "n",
) -> pd.DataFrame:
    """Return the table without its small cells and without those that would give them back by subtraction.

    In each margin (the rows that differ in one key only, its total included) where exactly one cell is suppressed,
    the smallest other cell is suppressed too; repeated over all margins until nothing changes.

    Parameters
    ----------
    frame, least, statistics, n
        As in `suppress`.
    within : sequence of str
        Keys along which nothing is summed, for example measure.
    margins : sequence of str
        Keys along which cells add up to a total, the row where the key is null.
    """
    frame = frame.reset_index(drop=True)
    hidden = frame[n] < least
    others = {margin: [*within, *(key for key in margins if key != margin)] for margin in margins}
    before = -1
    while hidden.sum() != before:
        before = hidden.sum()
        for keys in others.values():
            hidden |= _complements(frame, hidden, keys, n)
    return _emptied(frame, hidden, least, statistics, n)


def _complements(frame: pd.DataFrame, hidden: pd.Series, keys: list[str], n: str) -> pd.Series:
    """Return which cells to hide: the smallest visible one of each group in which exactly one is hidden."""
    groups = frame.groupby(keys, dropna=False, observed=True, sort=False).ngroup()
    alone = (hidden & (frame[n] > 0)).groupby(groups).transform("sum") == 1
    visible = frame.loc[alone & ~hidden & (frame[n] > 0), n]
    smallest = visible.groupby(groups[visible.index]).idxmin()
    return pd.Series(frame.index.isin(smallest), index=frame.index)


def _emptied(frame: pd.DataFrame, hidden: pd.Series, least: int, statistics: Sequence[str], n: str) -> pd.DataFrame:
    shown = frame.copy()
    for column in statistics:
        shown[column] = shown[column].mask(hidden)
    for column in shown.columns:
        match = _PERCENTILE.fullmatch(column)
        if match:
            percent = int(match[1])
            beyond = 100 if percent == 50 else min(percent, 100 - percent)
            shown[column] = shown[column].mask(hidden | (frame[n] * beyond < 100 * least))
    shown[n] = frame[n].astype("Int64").mask(hidden)
    return shown
