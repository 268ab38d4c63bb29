"""The LMS (Box-Cox-Cole-Green) distribution: z-scores, values, likelihood, information, standard errors in z.

Belongs here: formulas of the distribution at given L, M, S. Does not belong here: how L, M and S depend on age and BMI
(smooth.py, normative.py), tables of them (reference.py, norm_table.py).

Everywhere L (Box-Cox power) and S (generalised coefficient of variation) have no unit, M (median) and the value share
that of the measure, and z = ((y/M)^L - 1)/(L S) (Cole & Green 1992, doi 10.1002/sim.4780111005).
"""

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

Z95 = float(stats.norm.ppf(0.975))
LARGEST_SHAPE = 0.5
LogLms = tuple[np.ndarray, np.ndarray, np.ndarray]


class Norms(Protocol):
    """Anything that gives L, M, S at an age and BMI: a fitted model, a table of another population."""

    def lms(self, age_years: ArrayLike, bmi_kg_m2: ArrayLike | None = None) -> LogLms:
        """Return L (-), M (unit of the measure) and S (-), each of shape (n,); NaN where there are no norms."""


def z_score(value: ArrayLike, l: ArrayLike, m: ArrayLike, s: ArrayLike) -> np.ndarray:
    """Return z = ((value/M)^L - 1)/(L S), or ln(value/M)/S at L = 0.

    `value` and `m` share a unit; all arguments broadcast. NaN for values that are not positive.
    """
    value, l, m, s = np.broadcast_arrays(*(np.asarray(x, dtype=float) for x in (value, l, m, s)))
    log_ratio = np.log(np.where(value > 0, value, np.nan) / m)
    return log_ratio * special.exprel(l * log_ratio) / s


def value_at(z: ArrayLike, l: ArrayLike, m: ArrayLike, s: ArrayLike) -> np.ndarray:
    """Return the value at z, M (1 + L S z)^(1/L), or M exp(S z) at L = 0.

    The unit is that of `m`; all arguments broadcast. NaN where 1 + L S z is not positive: no such value exists.
    """
    z, l, m, s = np.broadcast_arrays(*(np.asarray(x, dtype=float) for x in (z, l, m, s)))
    x = np.where(l * s * z > -1, l * s * z, np.nan)
    near = np.abs(x) < 1e-12
    return m * np.exp(s * z * np.where(near, 1.0, np.log1p(x) / np.where(near, 1.0, x)))


def z_of(norms: Norms, age_years: ArrayLike, bmi_kg_m2: ArrayLike | None, value: ArrayLike) -> np.ndarray:
    """Return the z-scores of values under any norms; NaN where there are none."""
    return z_score(value, *norms.lms(age_years, bmi_kg_m2))


def percentile_of(norms: Norms, age_years: ArrayLike, bmi_kg_m2: ArrayLike | None, value: ArrayLike) -> np.ndarray:
    """Return the percentiles of values under any norms, in percent; NaN where there are none."""
    return 100 * special.ndtr(z_of(norms, age_years, bmi_kg_m2, value))


def value_of(norms: Norms, age_years: ArrayLike, bmi_kg_m2: ArrayLike | None, percentile: ArrayLike) -> np.ndarray:
    """Return the values at percentiles (percent) under any norms, in the unit of the measure; NaN where there are none."""
    return value_at(special.ndtri(np.asarray(percentile, dtype=float) / 100), *norms.lms(age_years, bmi_kg_m2))


def log_likelihood(y: np.ndarray, log_lms: LogLms, tau: float = np.inf) -> tuple[float, LogLms]:
    """Return the log-likelihood and its derivatives by log M, log S and L of each value.

    log f(y) = L log(y/M) - log S + log g(z) - log y, g the standard normal density (Cole & Green 1992), or for finite
    tau that of Student's t with tau degrees of freedom: Box-Cox t (Rigby & Stasinopoulos 2006, doi
    10.1191/1471082X06st122oa). The mass lost to truncation at 0, below 1e-6 for |L S| < 0.2, is neglected.

    Parameters
    ----------
    y : ndarray, shape (n,)
        Positive values.
    log_lms : tuple of ndarray, each of shape (n,)
        Log M, log S, L.
    tau : float
        Degrees of freedom of the tails.
    """
    log_m, log_s, l = log_lms
    sigma, log_ratio = np.exp(log_s), np.log(y) - log_m
    exponent = l * log_ratio
    z = log_ratio * special.exprel(exponent) / sigma
    if np.isinf(tau):
        density, pull = -(z**2) / 2 - np.log(2 * np.pi) / 2, z
    else:
        density, pull = stats.t.logpdf(z, tau), z * (tau + 1) / (tau + z**2)
    by_l = log_ratio - pull * log_ratio**2 * _exprel_slope(exponent) / sigma
    slopes = pull * np.exp(exponent) / sigma - l, pull * z - 1, by_l
    return float(np.sum(exponent - log_s + density - np.log(y))), slopes


def information(log_lms: LogLms) -> dict[tuple[int, int], np.ndarray]:
    """Return the expected information of one value in (log M, log S, L), upper triangle (Cole & Green 1992, appendix).

    |L S| is held below 0.5, where the approximation ends.
    """
    _, log_s, l = log_lms
    sigma = np.exp(log_s)
    shape = np.clip(l * sigma, -LARGEST_SHAPE, LARGEST_SHAPE)
    one = np.ones_like(sigma)
    return {
        (0, 0): (1 + 2 * shape**2) / sigma**2,
        (0, 1): 2 * shape / sigma,
        (0, 2): -one / 2,
        (1, 1): 2 * one,
        (1, 2): shape * sigma,
        (2, 2): 7 * sigma**2 / 4,
    }


def z_slopes(z: np.ndarray, l: np.ndarray, s: np.ndarray) -> np.ndarray:
    """Return the derivatives of the z-score of a fixed value by log M, log S and L, shape (n, 3).

    They are -(1 + L S z)/S, -z and q(z), q = r^2 exprel'(L r)/S with r = log(y/M); NaN where there is no value at z.
    """
    log_ratio = np.log(value_at(z, l, 1.0, s))
    return np.stack([-(1 + l * s * z) / s, -z, log_ratio**2 * _exprel_slope(l * log_ratio) / s], axis=-1)


def z_standard_error(z: np.ndarray, l: np.ndarray, s: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Return the standard error of z by the delta method, shape (n,), in units of z.

    Parameters
    ----------
    z, l, s : ndarray, shape (n,)
        z-score of a value, or that of a centile; L and S.
    covariance : ndarray, shape (n, 3, 3)
        Of log M, log S and L.
    """
    slopes = z_slopes(z, l, s)
    return np.sqrt(np.einsum("ni,nij,nj->n", slopes, covariance, slopes))


def _exprel_slope(x: np.ndarray) -> np.ndarray:
    """Return the derivative of (exp(x) - 1)/x, by its series near 0."""
    near = np.abs(x) < 1e-3
    safe = np.where(near, 1.0, x)
    return np.where(near, 0.5 + x / 3 + x**2 / 8, (np.exp(safe) - special.exprel(safe)) / safe)
