"""Normative centiles of one measure in one sex: a Box-Cox-Cole-Green (LMS) model by penalised maximum likelihood.

Belongs here: the fit, L, M, S, centiles with limits, z-scores, the support of the norms and the published grids. Does
not belong here: empirical percentiles by band (descriptive.py), suppression (disclosure.py), the choice of measures.

Model: log M = f1(age) + f2(BMI) + f12(age, BMI), log S = g1(age) + g2(BMI), L constant. Every f and g is a cubic
B-spline with a difference penalty (Eilers & Marx 1996, doi 10.1214/ss/1038425655). Each term has one smoothing
parameter, chosen by marginal likelihood with the Fellner-Schall update (Wood & Fasiolo 2017, doi 10.1111/biom.12666).
Without BMI only the age terms remain.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import linalg, special, stats
from scipy.interpolate import BSpline
from scipy.spatial import cKDTree

CENTILES = (3, 5, 10, 25, 50, 75, 90, 95, 97)
LEAST_PERSONS = 50
SUPPORT_PERSONS = 10
SUPPORT_RADIUS = 2.5
KNOT_MARGIN = 3.0
DEGREE = 3
ORDER = 2
AGE, BMI = "age_years", "bmi_kg_m2"
MU, SIGMA, NU = "mu", "sigma", "nu"
SMOOTHING_LIMITS = (1e-3, 1e9)
MAX_ROUNDS, MAX_STEPS = 60, 100


class NormsRefused(ValueError):
    """No norms can be fitted to these values; the message is a sentence that says why."""

    code = "norms_refused"

    @property
    def message(self) -> str:
        """Why there are no norms."""
        return str(self)


@dataclass(frozen=True)
class Basis:
    """Cubic B-splines of one covariate whose columns sum to zero over the fitted sample.

    Attributes
    ----------
    covariate : str
        `age_years` or `bmi_kg_m2`; the knots of BMI are equidistant on the log scale.
    knots : ndarray, shape (k + 4,)
        Equidistant knots; they reach 3 years or kg/m2 beyond the data, past the support.
    centring : ndarray, shape (k, k - 1)
        Coefficients of the k B-splines from the k - 1 free ones.
    """

    covariate: str
    knots: np.ndarray
    centring: np.ndarray

    def design(self, covariates: dict[str, np.ndarray]) -> np.ndarray:
        """Return the design matrix, shape (n, k - 1); NaN rows outside the knots."""
        x = _scaled(self.covariate, covariates[self.covariate])
        return BSpline(self.knots, self.centring, DEGREE, extrapolate=False)(x)

    def penalty(self, order: int) -> np.ndarray:
        """Return the difference penalty of this order on the free coefficients, shape (k - 1, k - 1)."""
        differences = np.diff(np.eye(len(self.centring)), order, axis=0) @ self.centring
        return differences.T @ differences


@dataclass(frozen=True)
class Term:
    """One smooth term of log M or log S: the (tensor) product of its bases and its penalty."""

    parameter: str
    bases: tuple[Basis, ...]

    @property
    def name(self) -> str:
        """Return for example `mu:age_years x bmi_kg_m2`."""
        return f"{self.parameter}:" + " x ".join(basis.covariate for basis in self.bases)

    @property
    def size(self) -> int:
        """Return the number of coefficients."""
        return int(np.prod([basis.centring.shape[1] for basis in self.bases]))

    def design(self, covariates: dict[str, np.ndarray]) -> np.ndarray:
        """Return the design matrix, shape (n, size): row-wise Kronecker product of the bases."""
        return reduce(_row_kronecker, [basis.design(covariates) for basis in self.bases])

    def penalty(self) -> np.ndarray:
        """Return the penalty matrix, shape (size, size).

        Single smooths: second-order differences, a straight line is free. Interaction: first-order differences along
        both axes, so that without evidence it shrinks to none.
        """
        if len(self.bases) == 1:
            return self.bases[0].penalty(ORDER)
        first, second = self.bases
        left, right = first.penalty(1), second.penalty(1)
        return np.kron(left, np.eye(len(right))) + np.kron(np.eye(len(left)), right)


@dataclass(frozen=True)
class CentileModel:
    """A fitted model of one measure in one sex.

    Attributes
    ----------
    terms : tuple of Term
        Smooth terms; their order is that of the coefficients inside `mu` and `sigma`.
    smoothing : ndarray, shape (len(terms),)
        Chosen smoothing parameters.
    coefficients : ndarray, shape (p,)
        Intercept and terms of log M, intercept and terms of log S, L.
    covariance : ndarray, shape (p, p)
        Inverse of the penalised expected information (Bayesian covariance, Wood 2006).
    n : int
        Number of persons.
    deviance : float
        Minus twice the log-likelihood.
    effective_df : float
        Trace of covariance times information.
    diagnostics : dict
        gaic3 (deviance + 3 df), mean, SD, skewness and excess kurtosis of the z-scores, percent observed below P10,
        P50, P90, rounds.
    """

    terms: tuple[Term, ...]
    smoothing: np.ndarray
    coefficients: np.ndarray
    covariance: np.ndarray
    n: int
    deviance: float
    effective_df: float
    diagnostics: dict[str, float]

    def lms(
        self, age_years: ArrayLike, bmi_kg_m2: ArrayLike | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return L (-), M (unit of the measure) and S (-); NaN outside the knots and where a covariate is missing.

        Parameters
        ----------
        age_years, bmi_kg_m2 : array_like, shape (n,)
            Years and kg/m2; BMI is ignored by a model over age alone.
        """
        log_m, log_s = self.predictors(_covariates(age_years, bmi_kg_m2))[2:]
        return np.where(np.isnan(log_m), np.nan, self.coefficients[-1]), np.exp(log_m), np.exp(log_s)

    def predictors(self, covariates: dict[str, np.ndarray]) -> tuple[np.ndarray, ...]:
        """Return the designs of log M and log S, shapes (n, p_mu) and (n, p_sigma), log M and log S, shape (n,)."""
        x_mu, x_sigma = (_design(self.terms, parameter, covariates) for parameter in (MU, SIGMA))
        split = x_mu.shape[1]
        return x_mu, x_sigma, x_mu @ self.coefficients[:split], x_sigma @ self.coefficients[split:-1]


def z_score(value: ArrayLike, l: ArrayLike, m: ArrayLike, s: ArrayLike) -> np.ndarray:
    """Return z = ((value/M)^L - 1)/(L S), or ln(value/M)/S at L = 0 (Cole & Green 1992, doi 10.1002/sim.4780111005).

    `value` and `m` share a unit; all arguments broadcast. NaN for values that are not positive.
    """
    value, l, m, s = np.broadcast_arrays(*(np.asarray(x, dtype=float) for x in (value, l, m, s)))
    log_ratio = np.log(np.where(value > 0, value, np.nan) / m)
    return log_ratio * special.exprel(l * log_ratio) / s


def value_at(z: ArrayLike, l: ArrayLike, m: ArrayLike, s: ArrayLike) -> np.ndarray:
    """Return the value at z, M (1 + L S z)^(1/L), or M exp(S z) at L = 0 (Cole & Green 1992).

    The unit is that of `m`; all arguments broadcast. NaN where 1 + L S z is not positive: no such value exists.
    """
    z, l, m, s = np.broadcast_arrays(*(np.asarray(x, dtype=float) for x in (z, l, m, s)))
    return m * np.exp(_log_ratio(z, l, s))


def fit(age_years: ArrayLike, bmi_kg_m2: ArrayLike | None, value: ArrayLike) -> CentileModel:
    """Fit the model to the persons of one sex with complete data.

    Parameters
    ----------
    age_years, bmi_kg_m2, value : array_like, shape (n,)
        Years, kg/m2 (None: a model over age alone) and the measure. Persons with a missing entry are left out.

    Raises
    ------
    NormsRefused
        Fewer than 50 complete persons, a value that is not positive, a BMI of 3 kg/m2 or less, a value or covariate
        that does not vary, or no convergence.
    """
    covariates = _covariates(age_years, bmi_kg_m2)
    y = np.asarray(value, dtype=float)
    complete = np.isfinite(np.column_stack([y, *covariates.values()])).all(axis=1)
    y, covariates = y[complete], {name: x[complete] for name, x in covariates.items()}
    _refuse_unfit(y, covariates)
    terms = _terms(covariates)
    x_mu, x_sigma = (_design(terms, parameter, covariates) for parameter in (MU, SIGMA))
    try:
        coefficients, smoothing, rounds = _estimate(x_mu, x_sigma, y, terms)
    except linalg.LinAlgError as error:
        raise NormsRefused("The model did not converge on these values.") from error
    information = _information(coefficients, x_mu, x_sigma)
    covariance = linalg.inv(information + _total_penalty(terms, smoothing))
    deviance = -2 * log_likelihood(coefficients, x_mu, x_sigma, y)[0]
    effective_df = float(np.sum(covariance * information))
    split = x_mu.shape[1]
    z = z_score(y, coefficients[-1], np.exp(x_mu @ coefficients[:split]), np.exp(x_sigma @ coefficients[split:-1]))
    diagnostics = _diagnostics(z) | {"gaic3": deviance + 3 * effective_df, "rounds": rounds}
    return CentileModel(terms, smoothing, coefficients, covariance, y.size, deviance, effective_df, diagnostics)


def log_likelihood(
    coefficients: np.ndarray, x_mu: np.ndarray, x_sigma: np.ndarray, y: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return the log-likelihood of the Box-Cox-Cole-Green model and its gradient.

    log f(y) = L log(y/M) - log S - z^2/2 - log y - log(2 pi)/2 (Cole & Green 1992); the mass lost to truncation at 0,
    below 1e-6 for |L S| < 0.2, is neglected.

    Parameters
    ----------
    coefficients : ndarray, shape (p,)
        As in `CentileModel`.
    x_mu, x_sigma : ndarray, shapes (n, p_mu), (n, p_sigma)
        Design matrices with intercepts; p = p_mu + p_sigma + 1.
    y : ndarray, shape (n,)
        Positive values.
    """
    split = x_mu.shape[1]
    log_s, nu = x_sigma @ coefficients[split:-1], coefficients[-1]
    sigma, log_ratio = np.exp(log_s), np.log(y) - x_mu @ coefficients[:split]
    exponent = nu * log_ratio
    power, z = np.exp(exponent), log_ratio * special.exprel(exponent) / sigma
    value = np.sum(exponent - log_s - z**2 / 2 - np.log(y)) - y.size * np.log(2 * np.pi) / 2
    dz_dnu = log_ratio**2 * _exprel_slope(exponent) / sigma
    gradient = np.r_[x_mu.T @ (z * power / sigma - nu), x_sigma.T @ (z**2 - 1), np.sum(log_ratio - z * dz_dnu)]
    return float(value), gradient


def centile(model: CentileModel, age_years: ArrayLike, bmi_kg_m2: ArrayLike | None, p: ArrayLike) -> pd.DataFrame:
    """Return a centile with its 95 % limits.

    The limits are value * exp(+-1.96 se), se by the delta method on the log scale from the penalised covariance.

    Parameters
    ----------
    model : CentileModel
        A fitted model.
    age_years, bmi_kg_m2 : array_like, shape (n,)
        Years and kg/m2 (None for a model over age alone).
    p : array_like, broadcastable to shape (n,)
        Centiles in percent, above 0 and below 100.

    Returns
    -------
    DataFrame, n rows
        value, ci_low, ci_high in the unit of the measure; NaN outside the knots.
    """
    x_mu, x_sigma, log_m, log_s = model.predictors(_covariates(age_years, bmi_kg_m2))
    z = np.broadcast_to(stats.norm.ppf(np.asarray(p, dtype=float) / 100), log_m.shape)
    nu, sigma = model.coefficients[-1], np.exp(log_s)
    log_ratio = _log_ratio(z, np.broadcast_to(nu, z.shape), sigma)
    by_log_s = sigma * z / (1 + nu * sigma * z)
    step = 1e-5
    by_nu = (_log_ratio(z, nu + step, sigma) - _log_ratio(z, nu - step, sigma)) / (2 * step)
    slopes = np.column_stack([x_mu, by_log_s[:, None] * x_sigma, by_nu])
    half_width = stats.norm.ppf(0.975) * np.sqrt(np.sum(slopes @ model.covariance * slopes, axis=1))
    log_value = log_m + log_ratio
    return pd.DataFrame(
        {
            "value": np.exp(log_value),
            "ci_low": np.exp(log_value - half_width),
            "ci_high": np.exp(log_value + half_width),
        }
    )


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
    points = np.column_stack(list(_covariates(age_years, bmi_kg_m2).values()))
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        return pd.DataFrame({AGE: [], BMI: [], "n": np.zeros(0, dtype=int)})
    axes = [np.arange(np.floor(x.min()) - 3, np.ceil(x.max()) + 4) for x in points.T]
    cells = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)
    n = cKDTree(points).query_ball_point(cells, SUPPORT_RADIUS, p=np.inf, return_length=True)
    bmi = cells[:, 1] if bmi_kg_m2 is not None else np.nan
    frame = pd.DataFrame({AGE: cells[:, 0], BMI: bmi, "n": n})
    return frame[frame["n"] >= SUPPORT_PERSONS].reset_index(drop=True)


def grid(model: CentileModel, support: pd.DataFrame, centiles: Sequence[float] = CENTILES) -> pd.DataFrame:
    """Return the centiles on the support: age_years, bmi_kg_m2, centile (percent), value, ci_low, ci_high.

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
    return cells.join(centile(model, cells[AGE], cells[BMI], cells["centile"]))


def lms_grid(model: CentileModel, support: pd.DataFrame) -> pd.DataFrame:
    """Return L, M and S on the support: age_years, bmi_kg_m2, l, m (unit of the measure), s."""
    l, m, s = model.lms(support[AGE], support[BMI])
    return support[[AGE, BMI]].assign(l=l, m=m, s=s)


def _covariates(age_years: ArrayLike, bmi_kg_m2: ArrayLike | None) -> dict[str, np.ndarray]:
    named = {AGE: age_years} if bmi_kg_m2 is None else {AGE: age_years, BMI: bmi_kg_m2}
    return {name: np.atleast_1d(np.asarray(x, dtype=float)) for name, x in named.items()}


def _scaled(covariate: str, x: np.ndarray) -> np.ndarray:
    return np.log(x) if covariate == BMI else x


def _refuse_unfit(y: np.ndarray, covariates: dict[str, np.ndarray]) -> None:
    if y.size < LEAST_PERSONS:
        raise NormsRefused(f"Norms need at least {LEAST_PERSONS} persons with complete data.")
    if np.any(y <= 0):
        raise NormsRefused("Norms need positive values; some are not.")
    if BMI in covariates and covariates[BMI].min() <= KNOT_MARGIN:
        raise NormsRefused(f"Norms need BMI above {KNOT_MARGIN:g} kg/m2.")
    for name, x in {"value": y, **covariates}.items():
        if np.ptp(x) <= 1e-6 * np.abs(x).max():
            raise NormsRefused(f"Norms need variation; {name} is constant.")


def _basis(covariate: str, x: np.ndarray, size: int) -> Basis:
    low, high = _scaled(covariate, np.array([x.min() - KNOT_MARGIN, x.max() + KNOT_MARGIN]))
    width = (high - low) / (size - DEGREE)
    knots = low + width * np.arange(-DEGREE, size + 1)
    sums = np.asarray(BSpline.design_matrix(_scaled(covariate, x), knots, DEGREE).sum(axis=0)).reshape(-1, 1)
    return Basis(covariate, knots, linalg.null_space(sums.T))


def _terms(covariates: dict[str, np.ndarray]) -> tuple[Term, ...]:
    single = [
        Term(parameter, (_basis(name, x, size),))
        for parameter, size in ((MU, 12), (SIGMA, 7))
        for name, x in covariates.items()
    ]
    if len(covariates) == 1:
        return tuple(single)
    interaction = Term(MU, tuple(_basis(name, x, 6) for name, x in covariates.items()))
    return (*single[:2], interaction, *single[2:])


def _row_kronecker(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return (left[:, :, None] * right[:, None, :]).reshape(len(left), left.shape[1] * right.shape[1])


def _design(terms: tuple[Term, ...], parameter: str, covariates: dict[str, np.ndarray]) -> np.ndarray:
    blocks = [term.design(covariates) for term in terms if term.parameter == parameter]
    return np.column_stack([np.ones(len(blocks[0])), *blocks])


def _slices(terms: tuple[Term, ...]) -> list[slice]:
    """Return where each term's coefficients lie; an intercept stands before the first term of mu and of sigma."""
    ends = np.cumsum([term.size for term in terms])
    return [
        slice(int(end - term.size + shift), int(end + shift))
        for term, end in zip(terms, ends, strict=True)
        for shift in [1 if term.parameter == MU else 2]
    ]


def _total_penalty(terms: tuple[Term, ...], smoothing: np.ndarray) -> np.ndarray:
    size = sum(term.size for term in terms) + 3
    total = np.zeros((size, size))
    for term, where, weight in zip(terms, _slices(terms), smoothing, strict=True):
        total[where, where] = weight * term.penalty()
    return total


def _exprel_slope(x: np.ndarray) -> np.ndarray:
    """Return the derivative of (exp(x) - 1)/x, by its series near 0."""
    near = np.abs(x) < 1e-3
    safe = np.where(near, 1.0, x)
    return np.where(near, 0.5 + x / 3 + x**2 / 8, (np.exp(safe) - special.exprel(safe)) / safe)


def _log_ratio(z: np.ndarray, l: np.ndarray, s: np.ndarray) -> np.ndarray:
    """Return log(y/M) at z: log(1 + L S z)/L, S z at L = 0."""
    x = np.where(l * s * z > -1, l * s * z, np.nan)
    near = np.abs(x) < 1e-12
    return s * z * np.where(near, 1.0, np.log1p(x) / np.where(near, 1.0, x))


def _information(coefficients: np.ndarray, x_mu: np.ndarray, x_sigma: np.ndarray) -> np.ndarray:
    """Return the expected information (Cole & Green 1992, appendix) in log M, log S and L; |L S| is held below 0.5."""
    split = x_mu.shape[1]
    sigma = np.exp(x_sigma @ coefficients[split:-1])
    shape = np.clip(coefficients[-1] * sigma, -0.5, 0.5)
    mu_mu = (x_mu * ((1 + 2 * shape**2) / sigma**2)[:, None]).T @ x_mu
    mu_sigma = (x_mu * (2 * shape / sigma)[:, None]).T @ x_sigma
    mu_nu = -x_mu.sum(axis=0)[:, None] / 2
    sigma_nu = (x_sigma.T @ (shape * sigma))[:, None]
    nu_nu = np.array([[np.sum(7 * sigma**2 / 4)]])
    return np.block(
        [[mu_mu, mu_sigma, mu_nu], [mu_sigma.T, 2 * x_sigma.T @ x_sigma, sigma_nu], [mu_nu.T, sigma_nu.T, nu_nu]]
    )


def _estimate(
    x_mu: np.ndarray, x_sigma: np.ndarray, y: np.ndarray, terms: tuple[Term, ...]
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return coefficients, smoothing parameters and rounds of the Fellner-Schall iteration."""
    coefficients = np.zeros(x_mu.shape[1] + x_sigma.shape[1] + 1)
    coefficients[0], coefficients[x_mu.shape[1]] = np.log(y).mean(), np.log(np.log(y).std())
    smoothing, df = np.full(len(terms), 1e3), np.inf
    for rounds in range(1, MAX_ROUNDS + 1):
        penalty = _total_penalty(terms, smoothing)
        coefficients = _maximise(coefficients, x_mu, x_sigma, y, penalty)
        information = _information(coefficients, x_mu, x_sigma)
        covariance = linalg.inv(information + penalty)
        previous, df = df, np.sum(covariance * information)
        if abs(previous - df) < 1e-2 or rounds == MAX_ROUNDS:
            break
        smoothing = _fellner_schall(coefficients, covariance, terms, smoothing)
    return coefficients, smoothing, rounds


def _fellner_schall(
    coefficients: np.ndarray, covariance: np.ndarray, terms: tuple[Term, ...], smoothing: np.ndarray
) -> np.ndarray:
    """Return (rank - smoothing tr(V P)) / (b' P b) per term: Wood & Fasiolo 2017, penalties not overlapping."""
    updated = []
    for term, where, weight in zip(terms, _slices(terms), smoothing, strict=True):
        penalty, b = term.penalty(), coefficients[where]
        rank = np.linalg.matrix_rank(penalty)
        free = max(rank - weight * np.sum(covariance[where, where] * penalty), 1e-9)
        updated.append(free / max(b @ penalty @ b, 1e-12))
    return np.clip(updated, *SMOOTHING_LIMITS)


def _maximise(
    coefficients: np.ndarray, x_mu: np.ndarray, x_sigma: np.ndarray, y: np.ndarray, penalty: np.ndarray
) -> np.ndarray:
    """Return the maximum of the penalised likelihood by Fisher scoring with halved steps."""

    def objective(b: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = log_likelihood(b, x_mu, x_sigma, y)
        return value - b @ penalty @ b / 2, gradient - penalty @ b

    value, gradient = objective(coefficients)
    for _ in range(MAX_STEPS):
        factor = linalg.cho_factor(_information(coefficients, x_mu, x_sigma) + penalty)
        step = linalg.cho_solve(factor, gradient)
        gain = gradient @ step
        if gain < 1e-6:
            return coefficients
        fraction = 1.0
        trial, trial_gradient = objective(coefficients + step)
        while not trial > value and fraction > 1e-6:
            fraction /= 2
            trial, trial_gradient = objective(coefficients + fraction * step)
        coefficients, value, gradient = coefficients + fraction * step, trial, trial_gradient
    raise linalg.LinAlgError("no convergence")


def _diagnostics(z: np.ndarray) -> dict[str, float]:
    below = {f"below_p{p}_pct": 100 * float(np.mean(z < stats.norm.ppf(p / 100))) for p in (10, 50, 90)}
    moments = {"z_mean": z.mean(), "z_sd": z.std(ddof=1), "z_skewness": stats.skew(z), "z_kurtosis": stats.kurtosis(z)}
    return {name: float(x) for name, x in moments.items()} | below
