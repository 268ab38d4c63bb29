"""The published grids of the norms: where there is support, L, M, S and centiles there, and shifts between two norms.

Belongs here: the support rule, grids of a fitted model, the comparison of two grids. Does not belong here: the fit
(normative.py), tables of other populations (reference.py).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import special
from scipy.spatial import cKDTree

from models.statistics.box_cox import value_at, z_score
from models.statistics.normative import CentileModel, centile
from models.statistics.smooth import AGE, BMI, name_covariates

CENTILES = (3, 5, 10, 25, 50, 75, 90, 95, 97)
EXTREME_CENTILES = (3, 5, 95, 97)
LARGEST_EXTREME_SE_Z = 0.15
SUPPORT_PERSONS = 10
SUPPORT_RADIUS = 2.5
COVARIANCES = {
    "var_log_m": (0, 0),
    "cov_log_m_log_s": (0, 1),
    "cov_log_m_l": (0, 2),
    "var_log_s": (1, 1),
    "cov_log_s_l": (1, 2),
    "var_l": (2, 2),
}


def support(age_years: ArrayLike, bmi_kg_m2: ArrayLike | None = None) -> pd.DataFrame:
    """Return the integer years and integer BMI with at least 10 persons within 2.5 years and 2.5 kg/m2, both inclusive.

    Parameters
    ----------
    age_years, bmi_kg_m2 : array_like, shape (n,)
        Years and kg/m2 (None: support over age alone) of the persons of one sex.

    Returns
    -------
    DataFrame
        age_years, bmi_kg_m2 (NaN over age alone), n.
    """
    points = np.column_stack(list(name_covariates(age_years, bmi_kg_m2).values()))
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        return pd.DataFrame({AGE: [], BMI: [], "n": np.zeros(0, dtype=int)})
    axes = [np.arange(np.floor(x.min()) - 3, np.ceil(x.max()) + 4) for x in points.T]
    cells = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)
    n = cKDTree(points).query_ball_point(cells, SUPPORT_RADIUS, p=np.inf, return_length=True)
    bmi = cells[:, 1] if bmi_kg_m2 is not None else np.nan
    frame = pd.DataFrame({AGE: cells[:, 0], BMI: bmi, "n": n})
    return frame[frame["n"] >= SUPPORT_PERSONS].reset_index(drop=True)


def centile_grid(model: CentileModel, support: pd.DataFrame, centiles: Sequence[float] = CENTILES) -> pd.DataFrame:
    """Return the centiles on the support: age_years, bmi_kg_m2, centile (percent), value, ci_low, ci_high, se_z.

    P3, P5, P95 and P97 appear only where their standard error is at most 0.15 z: there the 95 % limits of P3 stay
    between about P1.5 and P6.

    Parameters
    ----------
    model : CentileModel
        A fitted model.
    support : DataFrame
        Result of `support` for the same persons.
    centiles : sequence of float
        Percent.
    """
    cells = support[[AGE, BMI]].merge(pd.DataFrame({"centile": centiles}), how="cross")
    table = cells.join(centile(model, cells[AGE], cells[BMI], cells["centile"])).dropna(subset="value")
    is_uncertain = table["centile"].isin(EXTREME_CENTILES) & (table["se_z"] > LARGEST_EXTREME_SE_Z)
    return table[~is_uncertain].reset_index(drop=True)


def lms_grid(model: CentileModel, support: pd.DataFrame) -> pd.DataFrame:
    """Return the norms on the support, one row a grid point.

    Returns
    -------
    DataFrame
        age_years, bmi_kg_m2, n_near (persons), l, m (unit of the measure), s, and the covariance of log M, log S and
        L, from which `box_cox.z_standard_error` gives the limits of any percentile.
    """
    l, m, s = model.lms(support[AGE], support[BMI])
    covariance = model.covariance_at(support[AGE], support[BMI])
    columns = {name: covariance[:, i, j] for name, (i, j) in COVARIANCES.items()}
    table = support[[AGE, BMI]].assign(n_near=support["n"], l=l, m=m, s=s, **columns)
    return table.dropna(subset="m").reset_index(drop=True)


def compare(
    before: pd.DataFrame, after: pd.DataFrame, by: Sequence[str], centiles: Sequence[float] = CENTILES
) -> pd.DataFrame:
    """Return how far the norms moved: the largest shift of a centile, in percentile points of the new norms.

    The shift at a grid point is the percentile that the former centile's value has under the new norms, minus its
    own; P10 was 20 cm2 and 20 cm2 now is P12: +2.

    Parameters
    ----------
    before, after : DataFrame
        `by`, age_years, bmi_kg_m2, l, m, s.
    by : sequence of str
        Columns that name a model, for example measure and sex.

    Returns
    -------
    DataFrame, one row a model that both have
        `by`, n_cells (grid points in common), mean_shift_points (mean absolute shift), largest_shift_points (signed) and
        where it is: age_years, bmi_kg_m2, centile.
    """
    keys = [*by, AGE, BMI]
    both = before[[*keys, "l", "m", "s"]].merge(after[[*keys, "l", "m", "s"]], on=keys, suffixes=("_before", "_after"))
    points = both.merge(pd.DataFrame({"centile": centiles}), how="cross")
    former = value_at(special.ndtri(points["centile"] / 100), *(points[f"{name}_before"] for name in "lms"))
    now = 100 * special.ndtr(z_score(former, *(points[f"{name}_after"] for name in "lms")))
    points = points.assign(largest_shift_points=now - points["centile"], size=np.abs(now - points["centile"]))
    if points.empty:
        return pd.DataFrame()
    groups = points.groupby(list(by), sort=False)["size"]
    largest = points.loc[groups.idxmax(), [*keys, "centile", "largest_shift_points"]].reset_index(drop=True)
    return largest.assign(
        n_cells=(groups.count() // len(centiles)).to_numpy(), mean_shift_points=groups.mean().to_numpy()
    )
