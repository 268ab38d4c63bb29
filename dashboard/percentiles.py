"""The percentile of one person's value under published norms.

Belongs here: interpolation of L, M and S between the published grid points, z-score, percentile, value at a z-score.
Does not belong here: fitting norms (models/statistics/normative.py), reading the snapshot, words and charts.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

WHOLE = 1 - 1e-9


@dataclass(frozen=True)
class Lms:
    """The Box-Cox-Cole-Green distribution of a measure at one age and BMI.

    Attributes
    ----------
    l : float
        Box-Cox power, no unit.
    m : float
        Median, in the unit of the measure.
    s : float
        Generalised coefficient of variation, no unit.
    """

    l: float
    m: float
    s: float


def interpolate(grid: pd.DataFrame, age_years: float, bmi_kg_m2: float | None = None) -> Lms | None:
    """Return L, M and S at an age and BMI: L, log M and S (bi)linear between the neighbouring integer grid points.

    Parameters
    ----------
    grid : DataFrame
        Rows of norms.lms of one measure and sex: age_years, bmi_kg_m2, l, m, s. Either all rows have a BMI or none has.
    age_years : float
        Age in years.
    bmi_kg_m2 : float or None
        Body mass index in kg/m2; None for norms by age alone.

    Returns
    -------
    Lms or None
        None outside the reference range: a grid point that would carry weight is not in the support.
    """
    weight = _hat(grid["age_years"], age_years)
    if bmi_kg_m2 is not None:
        weight = weight * _hat(grid["bmi_kg_m2"], bmi_kg_m2)
    is_near = weight > 0
    weight = weight[is_near]
    if weight.sum() < WHOLE:
        return None
    l, m, s = (grid[name].to_numpy(dtype=float)[is_near] for name in "lms")
    return Lms(float(l @ weight), math.exp(np.log(m) @ weight), float(s @ weight))


def nearest(grid: pd.DataFrame, age_years: float, bmi_kg_m2: float | None = None) -> pd.Series:
    """Return the row of the grid that is nearest to an age and BMI."""
    distance = (grid["age_years"] - age_years).abs()
    if bmi_kg_m2 is not None:
        distance = distance + (grid["bmi_kg_m2"] - bmi_kg_m2).abs()
    return grid.loc[distance.idxmin()]


def z_score(value: float, lms: Lms) -> float:
    """Return z = ((value/M)^L - 1)/(L S), or ln(value/M)/S at L = 0 (Cole & Green 1992, doi 10.1002/sim.4780111005).

    Raises
    ------
    ValueError
        The value is not positive.
    """
    log_ratio = math.log(value / lms.m)
    if lms.l == 0:
        return log_ratio / lms.s
    return math.expm1(lms.l * log_ratio) / (lms.l * lms.s)


def percentile(z: float) -> float:
    """Return the percentile of a z-score in percent, 100 Phi(z) = 50 erfc(-z/sqrt(2))."""
    return 50 * math.erfc(-z / math.sqrt(2))


def value_at(z: float, lms: Lms) -> float:
    """Return the value at a z-score, M (1 + L S z)^(1/L), or M exp(S z) at L = 0, in the unit of M (Cole & Green 1992)."""
    if lms.l == 0:
        return lms.m * math.exp(lms.s * z)
    return lms.m * math.exp(math.log1p(lms.l * lms.s * z) / lms.l)


def _hat(grid: pd.Series, x: float) -> np.ndarray:
    """Return the linear interpolation weight of each integer grid point at x; weights of both neighbours add up to 1."""
    return np.maximum(1 - np.abs(grid.to_numpy(dtype=float) - x), 0)
