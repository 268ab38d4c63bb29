"""Disclosure control of aggregates, in one place; applied once, when the aggregate file is published.

Belongs here: what may be shown of tables of aggregates, decided on raw counts of persons before any rounding. Direction:
a suppressed cell is null, never 0. Does not belong here: computing the tables, access rules.

The rules (k = `least`): no cell under k persons; an empirical percentile or its limit only where at least k persons lie
beyond it on each side; no published cells whose counts, sums or sums of squares add up to a suppressed one (secondary
suppression: Hundepool et al., Statistical Disclosure Control, 2012, chapter 4); a cell, total or not, is republished
only when its people changed by none or by at least k.

Secondary suppression is linear algebra. Persons fall into groups, the smallest that any table tells apart; a cell is a set
of groups, a 0/1 vector. n, sum and sum of squares of a cell are the same linear function of the groups' own, so a cell can
be recovered from others exactly where its vector is a linear combination of theirs. Cells are hidden until no vector of a
small cell is.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd
from scipy import optimize, sparse

PRIMARY = "suppressed (< {least})"
SECONDARY = "suppressed (protects another cell)"
WITHHELD = "withheld (fewer than {least} persons changed)"
MISSING = "missing"
_TOLERANCE = 1e-8


def suppress(
    frame: pd.DataFrame,
    least: int,
    statistics: Sequence[str],
    n: str = "n",
    hidden: np.ndarray | None = None,
    beyond: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return the table without its small cells.

    Parameters
    ----------
    frame : DataFrame
        One row per cell; `n` holds raw counts of persons. Where it has a column `suppression`, the reason goes there.
    least : int
        k, the smallest count that may be shown.
    statistics : sequence of str
        Columns that are emptied together with `n`.
    n : str
        The column of counts; it comes back as nullable integer.
    hidden : ndarray of bool, shape (rows,), optional
        Cells to empty as well.
    beyond : DataFrame, optional
        Columns of percentiles and their limits, with the persons beyond each (`descriptive.count_beyond`).
    """
    is_small = ((frame[n] > 0) & (frame[n] < least)).to_numpy()
    hidden = is_small if hidden is None else is_small | hidden
    shown = frame.copy()
    for column in statistics:
        shown[column] = shown[column].mask(hidden)
    for column in () if beyond is None else beyond:
        shown[column] = shown[column].mask(hidden | (beyond[column] < least))
    shown[n] = frame[n].astype("Int64").mask(hidden)
    if "suppression" in shown:
        reason = np.where(is_small, PRIMARY.format(least=least), SECONDARY)
        shown["suppression"] = pd.Series(np.where(hidden, reason, None), index=shown.index, dtype=str)
    return shown


def find_hidden(
    contents: np.ndarray,
    counts: np.ndarray,
    least: int,
    sensitive: np.ndarray | None = None,
    hidden: np.ndarray | None = None,
    cost: np.ndarray | None = None,
) -> np.ndarray:
    """Return which cells to hide so that no small one can be recovered from the others.

    Parameters
    ----------
    contents : ndarray of bool, shape (cells, groups)
        The groups that each cell is made of.
    counts : ndarray, shape (groups,)
        Persons in each group.
    sensitive : ndarray of bool, shape (m, groups), optional
        What is not published itself but may not be recovered either where it is under `least`, for example persons
        with a missing band.
    hidden : ndarray of bool, shape (cells,), optional
        Cells that must be hidden, and may not be recovered, whatever their size.
    cost : ndarray, shape (cells,), optional
        Of several cells that would do, the cheapest is hidden. Default: the persons in it.

    Returns
    -------
    ndarray of bool, shape (cells,)
        Cells of the same groups share their fate.
    """
    persons = contents @ counts
    present = counts > 0
    cells, cell_of = np.unique(contents[:, present], axis=0, return_inverse=True)
    cell_of = cell_of.ravel()
    n = cells @ counts[present]
    dearness = np.full(len(cells), np.inf)
    np.minimum.at(dearness, cell_of, persons if cost is None else cost)
    is_hidden = (n > 0) & (n < least)
    if hidden is not None:
        is_hidden[cell_of[hidden]] = True
    secret = cells[is_hidden]
    if sensitive is not None:
        extra = sensitive[:, present]
        size = extra @ counts[present]
        secret = np.vstack([secret, extra[(size > 0) & (size < least)]])
    secret = np.unique(secret, axis=0).astype(float)
    secret = secret[secret.any(axis=1)]
    is_hidden |= (n > 0) & np.array([(cell == secret).all(axis=1).any() for cell in cells], dtype=bool)
    is_fixed = is_hidden.copy()

    def find_exposed() -> np.ndarray:
        return secret[_in_span(cells[~is_hidden & (n > 0)].astype(float), secret)]

    while len(exposed := find_exposed()):
        published = np.flatnonzero(~is_hidden & (n > 0))
        for vector in exposed:
            used = published[_combination(cells[published].astype(float), vector)]
            if not is_hidden[used].any():
                is_hidden[used[np.argmin(dearness[used])]] = True
    # What later choices made unnecessary is shown after all, the dearest first.
    helpers = np.flatnonzero(is_hidden & ~is_fixed)
    for cell in helpers[np.argsort(-dearness[helpers], kind="stable")]:
        is_hidden[cell] = False
        is_hidden[cell] = len(find_exposed()) > 0
    return is_hidden[cell_of]


def _in_span(rows: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return which vectors are linear combinations of the rows."""
    if not len(rows) or not len(vectors):
        return np.zeros(len(vectors), dtype=bool)
    _, size, basis = np.linalg.svd(rows, full_matrices=False)
    basis = basis[size > _TOLERANCE * size[0]]
    residual = vectors - vectors @ basis.T @ basis
    return np.abs(residual).max(axis=1) < 1e-6


def _combination(rows: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Return the indices of a sparse linear combination of rows that gives the vector (smallest sum of weights)."""
    both_signs = sparse.csr_array(np.hstack([rows.T, -rows.T]))
    result = optimize.linprog(np.ones(2 * len(rows)), A_eq=both_signs, b_eq=vector, bounds=(0, None), method="highs")
    weights = result.x[: len(rows)] - result.x[len(rows) :] if result.x is not None else None
    if weights is None:
        weights = np.linalg.lstsq(rows.T, vector, rcond=None)[0]
    return np.flatnonzero(np.abs(weights) > 1e-6)


def cover(rows: pd.DataFrame, groups: pd.DataFrame, keys: Sequence[str], needs: Sequence[frozenset[str]]) -> np.ndarray:
    """Return which groups of persons each row is about, shape (rows, groups).

    Parameters
    ----------
    rows : DataFrame
        Cells; a null key means all.
    groups : DataFrame
        The same keys (null = missing), `available` (frozenset of what these persons have), one row per group.
    keys : sequence of str
    needs : sequence of frozenset, one per row
        What a person must have to be in the row, for example the measure.
    """
    covered = np.ones((len(rows), len(groups)), dtype=bool)
    for key in keys:
        wanted, have = rows[key].to_numpy(dtype=object), groups[key].to_numpy(dtype=object)
        covered &= rows[key].isna().to_numpy()[:, None] | (wanted[:, None] == have[None])
    distinct = {need: groups["available"].map(need.issubset).to_numpy(bool) for need in set(needs)}
    return covered & np.stack([distinct[need] for need in needs]) if len(rows) else covered


def price(cells: pd.DataFrame, margins: Sequence[str], n: str = "n") -> np.ndarray:
    """Return what it costs to hide each cell: its persons, more so in totals than in the cells below them."""
    return cells[n].to_numpy(float) * (1 + cells[list(margins)].isna().sum(axis=1).to_numpy()) ** 2


def every_cell(groups: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return all combinations of the keys' values, of all (null) and of `missing`: what a table's margins may not give away.

    For `cover`, with `groups` whose missing keys are called `missing` (`name_missing`).
    """
    levels = [[None, *pd.unique(groups[key])] for key in keys]
    return pd.DataFrame(list(product(*levels)), columns=list(keys), dtype=object)


def name_missing(groups: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return the groups with the text `missing` for missing keys."""
    return groups.assign(**{key: groups[key].astype(object).where(groups[key].notna(), MISSING) for key in keys})


def suppress_complements(
    frame: pd.DataFrame,
    least: int,
    statistics: Sequence[str],
    within: Sequence[str],
    margins: Sequence[str],
    n: str = "n",
) -> pd.DataFrame:
    """Return a table without its small cells and without those that would give them back, over all margins jointly.

    For a table that stands alone. Persons who are in a total but in none of its cells count as one more cell.

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
    hidden = pd.Series(False, index=frame.index)
    for _, part in frame.groupby(list(within), dropna=False, observed=True):
        groups = _smallest_groups(part, margins, n)
        needs = [frozenset()] * len(part)
        keys = every_cell(groups, margins)
        hidden[part.index] = find_hidden(
            cover(part, groups, margins, needs),
            groups["count"].to_numpy(float),
            least,
            cover(keys, groups, margins, [frozenset()] * len(keys)),
            cost=price(part, margins, n),
        )
    return suppress(frame, least, statistics, n, hidden.to_numpy())


def _smallest_groups(cells: pd.DataFrame, margins: Sequence[str], n: str) -> pd.DataFrame:
    """Return the groups behind a cube of cells: each combination of bands or `missing`, with its count by subtraction."""
    known = {tuple(None if pd.isna(key) else key for key in row[:-1]): row[-1] for row in cells[[*margins, n]].values}
    levels = [[*dict.fromkeys(key[i] for key in known if key[i] is not None), MISSING] for i in range(len(margins))]

    def count(key: tuple) -> float:
        if MISSING not in key:
            return known.get(key, 0)
        i = key.index(MISSING)
        return count((*key[:i], None, *key[i + 1 :])) - sum(
            count((*key[:i], level, *key[i + 1 :])) for level in levels[i][:-1]
        )

    groups = pd.DataFrame(list(product(*levels)), columns=list(margins), dtype=object)
    return groups.assign(count=[count(tuple(key)) for key in groups.values], available=[frozenset()] * len(groups))


def decide_republication(n_changed: int, n_withdrawn: int, least: int) -> str:
    """Return what to do with a cell since it was last shown: `show`, `keep` the old numbers, or `withhold`.

    The difference of two versions of a cell tells about the persons that changed. After a withdrawal the old numbers may
    not stay either.
    """
    if n_changed + n_withdrawn == 0 or n_changed + n_withdrawn >= least:
        return "show"
    return "withhold" if n_withdrawn else "keep"
