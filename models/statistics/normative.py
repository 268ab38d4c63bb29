"""The normative model of one measure in one sex: its fit, and centiles and percentiles with limits.

Belongs here: the penalised likelihood fit, refusals, the fitted model. Does not belong here: the distribution (box_cox.py),
splines (smooth.py), grids and support (norm_table.py), validation (calibration.py), empirical percentiles
(descriptive.py), suppression (disclosure.py), the choice of measures.

Model: log M = f1(age) + f2(BMI) + f12(age, BMI), log S = g1(age) + g2(BMI), L = h0 + h1(age) + h2(BMI), Box-Cox-Cole-Green
errors. Every f, g and h is a cubic B-spline with a difference penalty (Eilers & Marx 1996, doi 10.1214/ss/1038425655).
Each has one smoothing parameter, chosen by marginal likelihood with the Fellner-Schall update (Wood & Fasiolo 2017, doi
10.1111/biom.12666); f12, h1 and h2 shrink to none where the marginal likelihood does not ask for them. Without BMI only
the age terms remain.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import linalg, optimize, special

from models.statistics import box_cox
from models.statistics.smooth import BMI, KNOT_MARGIN, Term, build_basis, build_design, name_covariates

LEAST_PERSONS = 50
MU, SIGMA, NU = PARAMETERS = ("mu", "sigma", "nu")
FIXED_NU = {"BCCG": None, "LNO": 0.0, "NO": 1.0, "BCT": None}
SPLINES, INTERACTION_SPLINES = 12, 6
SMOOTHING_LIMITS = (1e-3, 1e9)
FIRST_SMOOTHING = 1e3
MAX_ROUNDS, MAX_STEPS, MAX_CLIMBS = 100, 20, 500
SETTLED_DF = 1e-2
# Log-likelihood that a further step would gain: small beside what the penalties still move, and in the end.
ROUGH_GAIN, LEAST_GAIN = 1e-2, 1e-6
LARGEST_TAIL_DF, SMALLEST_TAIL_DF = 200.0, 2.5
UNIT_FACTORS = (10, 100, 1000, 10_000, 1_000_000)
Designs = tuple[np.ndarray, np.ndarray, np.ndarray]


class NormsRefused(ValueError):
    """No norms can be fitted to these values; the message is a sentence that says why."""

    code = "norms_refused"

    @property
    def message(self) -> str:
        """Why there are no norms."""
        return str(self)


@dataclass(frozen=True)
class CentileModel:
    """A fitted model of one measure in one sex.

    Attributes
    ----------
    family : str
        BCCG; LNO (log-normal, L = 0) and NO (normal, L = 1) are special cases, BCT has heavier tails.
    terms : tuple of Term
        Smooth terms; their order is that of the coefficients inside mu (log M), sigma (log S) and nu (L).
    smoothing : ndarray, shape (len(terms),)
        Chosen smoothing parameters.
    coefficients : ndarray, shape (p,)
        Intercept and terms of log M, of log S, and of L (none where the family fixes L).
    covariance : ndarray, shape (p, p)
        Inverse of the penalised expected information (Bayesian covariance, Wood 2006).
    term_df : ndarray, shape (len(terms),)
        Effective degrees of freedom of each term.
    n : int
        Number of persons.
    deviance : float
        Minus twice the log-likelihood.
    marginal_likelihood : float
        The criterion that the smoothing parameters maximise: Laplace's approximation of the log marginal likelihood.
    rounds : int
        Updates of the smoothing parameters.
    tau : float
        Degrees of freedom of the tails; infinite but for BCT.
    """

    family: str
    terms: tuple[Term, ...]
    smoothing: np.ndarray
    coefficients: np.ndarray
    covariance: np.ndarray
    term_df: np.ndarray
    n: int
    deviance: float
    marginal_likelihood: float
    rounds: int
    tau: float = np.inf

    @property
    def has_bmi(self) -> bool:
        """Whether the norms depend on BMI."""
        return any(basis.covariate == BMI for term in self.terms for basis in term.bases)

    @property
    def effective_df(self) -> float:
        """Return the effective degrees of freedom: of the terms, one for each intercept, one for tau."""
        return float(self.term_df.sum()) + 2 + (FIXED_NU[self.family] is None) + np.isfinite(self.tau)

    @property
    def gaic3(self) -> float:
        """Return the generalised Akaike criterion with penalty 3, deviance + 3 df (Rigby & Stasinopoulos 2005)."""
        return self.deviance + 3 * self.effective_df

    def lms(self, age_years: ArrayLike, bmi_kg_m2: ArrayLike | None = None) -> box_cox.LogLms:
        """Return L (-), M (unit of the measure) and S (-); NaN outside the knots and where a covariate is missing.

        Parameters
        ----------
        age_years, bmi_kg_m2 : array_like, shape (n,)
            Years and kg/m2; BMI is ignored by a model over age alone.
        """
        log_m, log_s, l = self._predict(self.designs(age_years, bmi_kg_m2))
        return np.where(np.isnan(log_m), np.nan, l), np.exp(log_m), np.exp(log_s)

    def covariance_at(self, age_years: ArrayLike, bmi_kg_m2: ArrayLike | None = None) -> np.ndarray:
        """Return the covariance of log M, log S and L, shape (n, 3, 3)."""
        designs = self.designs(age_years, bmi_kg_m2)
        where = _ranges(designs)
        result = np.empty((len(designs[0]), 3, 3))
        for i in range(3):
            for j in range(i, 3):
                block = np.sum(designs[i] @ self.covariance[where[i], where[j]] * designs[j], axis=1)
                result[:, i, j] = result[:, j, i] = block
        return result

    def designs(self, age_years: ArrayLike, bmi_kg_m2: ArrayLike | None = None) -> Designs:
        """Return the design matrices of log M, log S and L."""
        covariates = name_covariates(age_years, bmi_kg_m2 if self.has_bmi else None)
        return _designs(self.terms, covariates, FIXED_NU[self.family])

    def _predict(self, designs: Designs) -> box_cox.LogLms:
        return _predict(self.coefficients, designs, FIXED_NU[self.family])


def fit(
    age_years: ArrayLike,
    bmi_kg_m2: ArrayLike | None,
    value: ArrayLike,
    family: str = "BCCG",
    start: CentileModel | None = None,
    plausible: tuple[float, float] | None = None,
) -> CentileModel:
    """Fit the model to the persons of one sex with complete data.

    Parameters
    ----------
    age_years, bmi_kg_m2, value : array_like, shape (n,)
        Years, kg/m2 (None: a model over age alone) and the measure. Persons with a missing entry are left out.
    family : str
        BCCG, or its special cases LNO and NO.
    start : CentileModel, optional
        A model fitted to (nearly) the same persons, of this family or BCCG, whose knots and smoothing to start from.
    plausible : tuple of float, optional
        Between which the median must lie, in the unit of the measure: outside it the unit is another.

    Raises
    ------
    NormsRefused
        Fewer than 50 complete persons, a value that is not positive, values in another or in two units, a BMI of 3 kg/m2 or less, a
        value or covariate that does not vary, or no convergence.
    """
    covariates = name_covariates(age_years, bmi_kg_m2)
    y = np.asarray(value, dtype=float)
    complete = np.isfinite(np.column_stack([y, *covariates.values()])).all(axis=1)
    y, covariates = y[complete], {name: x[complete] for name, x in covariates.items()}
    _refuse_unfit(y, covariates, plausible)
    fixed_nu = FIXED_NU[family]
    terms = _build_terms(covariates, fixed_nu) if start is None else start.terms
    if fixed_nu is not None:
        terms = tuple(term for term in terms if term.parameter != NU)
    designs = _designs(terms, covariates, fixed_nu)
    try:
        model = _estimate(family, terms, designs, y, start)
    except linalg.LinAlgError as error:
        raise NormsRefused("The model did not converge on these values.") from error
    return model


def fit_heavy_tails(model: CentileModel, age_years: ArrayLike, bmi_kg_m2: ArrayLike | None, y: np.ndarray):
    """Return the Box-Cox t model with the smoothing parameters of a BCCG model, tau by maximum likelihood.

    A diagnostic: L, M and S of the served family reproduce every z, those of this one do not. Arguments as in `fit`,
    complete persons only.
    """
    designs, penalty = model.designs(age_years, bmi_kg_m2), _total_penalty(model.terms, model.smoothing)
    fits: dict[float, np.ndarray] = {}

    def deviance(inverse_tau: float) -> float:
        fits[inverse_tau], _ = _maximise(model.coefficients, designs, y, penalty, None, 1 / inverse_tau, ROUGH_GAIN)
        return -2 * _log_likelihood(fits[inverse_tau], designs, y, None, 1 / inverse_tau)[0]

    best = optimize.minimize_scalar(
        deviance, bounds=(1 / LARGEST_TAIL_DF, 1 / SMALLEST_TAIL_DF), method="bounded", options={"xatol": 2e-3}
    )
    return replace(model, family="BCT", coefficients=fits[best.x], deviance=float(best.fun), tau=1 / best.x)


def centile(model: CentileModel, age_years: ArrayLike, bmi_kg_m2: ArrayLike | None, p: ArrayLike) -> pd.DataFrame:
    """Return a centile with its 95 % limits.

    The limits are value * exp(+-1.96 se_z S/(1 + L S z)), se_z by the delta method from the penalised covariance.

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
        value, ci_low, ci_high in the unit of the measure, se_z: standard error in units of z; NaN outside the knots.
    """
    l, m, s = model.lms(age_years, bmi_kg_m2)
    z = np.broadcast_to(special.ndtri(np.asarray(p, dtype=float) / 100), m.shape)
    se_z = box_cox.z_standard_error(z, l, s, model.covariance_at(age_years, bmi_kg_m2))
    value, factor = box_cox.value_at(z, l, m, s), np.exp(box_cox.Z95 * se_z * s / (1 + l * s * z))
    return pd.DataFrame({"value": value, "ci_low": value / factor, "ci_high": value * factor, "se_z": se_z})


def percentile(
    model: CentileModel, age_years: ArrayLike, bmi_kg_m2: ArrayLike | None, value: ArrayLike
) -> pd.DataFrame:
    """Return the percentile of each person's value with its 95 % limits, 100 Phi(z +- 1.96 se_z).

    Parameters
    ----------
    age_years, bmi_kg_m2, value : array_like, shape (n,)
        Years, kg/m2 (None for a model over age alone) and values in the unit of the measure.

    Returns
    -------
    DataFrame, n rows
        z and se_z in units of z; percentile_pct, ci_low, ci_high in percent; NaN where there are no norms.
    """
    l, m, s = model.lms(age_years, bmi_kg_m2)
    z = box_cox.z_score(value, l, m, s)
    se_z = box_cox.z_standard_error(z, l, s, model.covariance_at(age_years, bmi_kg_m2))
    at = {"percentile_pct": z, "ci_low": z - box_cox.Z95 * se_z, "ci_high": z + box_cox.Z95 * se_z}
    return pd.DataFrame({"z": z, "se_z": se_z} | {name: 100 * special.ndtr(x) for name, x in at.items()})


def describe(model: CentileModel) -> dict:
    """Return the model as plain numbers: what is needed to compute log M, log S and L without this code.

    Each parameter is its intercept (or fixed value) plus the sum of its terms; a term is a (tensor product of) cubic
    B-spline(s) with the given knots and coefficients. The knots of BMI are in log(kg/m2), those of age in years.
    """
    parameters = {}
    for parameter, where in zip(PARAMETERS, _ranges(_empty_designs(model)), strict=True):
        own = model.coefficients[where]
        parameters[parameter] = {"intercept": float(own[0]) if own.size else FIXED_NU[model.family], "terms": []}
    for term, where, smoothing, df in zip(
        model.terms, _slices(model.terms), model.smoothing, model.term_df, strict=True
    ):
        parameters[term.parameter]["terms"].append(
            {
                "covariates": [basis.covariate for basis in term.bases],
                "knots": [basis.knots.tolist() for basis in term.bases],
                "coefficients": term.spline_coefficients(model.coefficients[where]).tolist(),
                "penalty_order": term.order,
                "smoothing": float(smoothing),
                "df": float(df),
            }
        )
    return {"family": model.family, "links": {MU: "log", SIGMA: "log", NU: "identity"}, "parameters": parameters}


def _refuse_unfit(y: np.ndarray, covariates: dict[str, np.ndarray], plausible: tuple[float, float] | None) -> None:
    if y.size < LEAST_PERSONS:
        raise NormsRefused(f"Norms need at least {LEAST_PERSONS} persons with complete data.")
    if np.any(y <= 0):
        raise NormsRefused("Norms need positive values; some are not.")
    if BMI in covariates and covariates[BMI].min() <= KNOT_MARGIN:
        raise NormsRefused(f"Norms need BMI above {KNOT_MARGIN:g} kg/m2.")
    for name, x in {"value": y, **covariates}.items():
        if np.ptp(x) <= 1e-6 * np.abs(x).max():
            raise NormsRefused(f"Norms need variation; {name} is constant.")
    median = np.median(y)
    if plausible and not plausible[0] <= median <= plausible[1]:
        low, high = plausible
        raise NormsRefused(
            f"Half of the values lie beyond {median:.4g}, implausible between {low:g} and {high:g}: check their unit."
        )
    factor = _find_unit_slip(y)
    if factor:
        raise NormsRefused(f"Some values are about {factor:,} times the others: deliver all of them in one unit.")


def _find_unit_slip(y: np.ndarray) -> int | None:
    """Return a power of ten by which some values differ from the bulk, as mm2 do from cm2; None where none do.

    The bulk is what lies within a factor of sqrt(10) of the median. A slip is a value outside it that, rescaled, lies
    among the bulk's middle 95 %, in a measure of which the middle 95 % of the bulk span a factor below 10 and with
    nothing in the factor-of-two gap beside the bulk.
    """
    ratio = np.log10(y / np.median(y))
    bulk = ratio[np.abs(ratio) < 0.5]
    low, high = np.quantile(bulk, [0.025, 0.975])
    outside = ratio[np.abs(ratio) >= 0.5]
    near = np.sum((np.abs(ratio) >= 0.5) & (np.abs(ratio) < 0.5 + np.log10(2)))
    if not outside.size or near > 0 or bulk.size < 0.5 * ratio.size:
        return None
    for factor in UNIT_FACTORS:
        rescaled = np.abs(outside) - np.log10(factor)
        if np.any((rescaled >= low) & (rescaled <= high)):
            return factor
    return None


def _build_terms(covariates: dict[str, np.ndarray], fixed_nu: float | None) -> tuple[Term, ...]:
    def single(parameter: str, order: int) -> list[Term]:
        return [Term(parameter, (build_basis(name, x, SPLINES),), order) for name, x in covariates.items()]

    terms = single(MU, 2)
    if len(covariates) > 1:
        bases = tuple(build_basis(name, x, INTERACTION_SPLINES) for name, x in covariates.items())
        terms.append(Term(MU, bases, 1))
    return (*terms, *single(SIGMA, 2), *(single(NU, 1) if fixed_nu is None else []))


def _designs(terms: tuple[Term, ...], covariates: dict[str, np.ndarray], fixed_nu: float | None) -> Designs:
    x_mu, x_sigma, x_nu = (build_design(terms, parameter, covariates) for parameter in PARAMETERS)
    return x_mu, x_sigma, x_nu if fixed_nu is None else x_nu[:, :0]


def _empty_designs(model: CentileModel) -> Designs:
    return model.designs(np.zeros(0), np.zeros(0))


def _ranges(designs: Designs) -> list[slice]:
    """Return where the coefficients of mu, sigma and nu lie."""
    ends = np.cumsum([design.shape[1] for design in designs])
    return [slice(int(end) - design.shape[1], int(end)) for end, design in zip(ends, designs, strict=True)]


def _slices(terms: tuple[Term, ...]) -> list[slice]:
    """Return where each term's coefficients lie; an intercept stands before the first term of every parameter."""
    ends = np.cumsum([term.size for term in terms])
    return [
        slice(int(end) - term.size + shift, int(end) + shift)
        for term, end in zip(terms, ends, strict=True)
        for shift in [1 + PARAMETERS.index(term.parameter)]
    ]


def _predict(coefficients: np.ndarray, designs: Designs, fixed_nu: float | None) -> box_cox.LogLms:
    log_m, log_s, l = (design @ coefficients[where] for design, where in zip(designs, _ranges(designs), strict=True))
    return log_m, log_s, l if fixed_nu is None else np.full_like(log_m, fixed_nu)


def _log_likelihood(
    coefficients: np.ndarray, designs: Designs, y: np.ndarray, fixed_nu: float | None, tau: float = np.inf
) -> tuple[float, np.ndarray]:
    """Return the log-likelihood and its gradient by the coefficients."""
    value, slopes = box_cox.log_likelihood(y, _predict(coefficients, designs, fixed_nu), tau)
    return value, np.concatenate([design.T @ slope for design, slope in zip(designs, slopes, strict=True)])


def _information(coefficients: np.ndarray, designs: Designs, fixed_nu: float | None) -> np.ndarray:
    """Return the expected information of the coefficients, shape (p, p)."""
    where = _ranges(designs)
    total = np.zeros((coefficients.size, coefficients.size))
    for (i, j), weight in box_cox.information(_predict(coefficients, designs, fixed_nu)).items():
        total[where[i], where[j]] = (designs[i] * weight[:, None]).T @ designs[j]
        total[where[j], where[i]] = total[where[i], where[j]].T
    return total


def _total_penalty(terms: tuple[Term, ...], smoothing: np.ndarray) -> np.ndarray:
    size = sum(term.size for term in terms) + len({term.parameter for term in terms})
    total = np.zeros((size, size))
    for term, where, weight in zip(terms, _slices(terms), smoothing, strict=True):
        total[where, where] = weight * term.penalty()
    return total


def _estimate(
    family: str, terms: tuple[Term, ...], designs: Designs, y: np.ndarray, start: CentileModel | None
) -> CentileModel:
    """Return the fitted model: Fisher scoring inside the Fellner-Schall iteration."""
    fixed_nu, size = FIXED_NU[family], sum(design.shape[1] for design in designs)
    if start:
        coefficients, smoothing = start.coefficients[:size], start.smoothing[: len(terms)]
    else:
        coefficients = np.zeros(size)
        coefficients[0], coefficients[designs[0].shape[1]] = np.log(y).mean(), np.log(np.log(y).std())
        smoothing = np.full(len(terms), FIRST_SMOOTHING)
    term_df = np.full(len(terms), np.inf)
    for rounds in range(1, MAX_ROUNDS + 1):
        penalty = _total_penalty(terms, smoothing)
        coefficients, expected = _maximise(coefficients, designs, y, penalty, fixed_nu, least_gain=ROUGH_GAIN)
        covariance = linalg.inv(expected + penalty)
        previous, term_df = term_df, _term_df(covariance, expected, terms)
        if np.abs(previous - term_df).max() < SETTLED_DF or rounds == MAX_ROUNDS:
            break
        smoothing = _fellner_schall(coefficients, covariance, terms, smoothing)
    coefficients, expected = _maximise(coefficients, designs, y, penalty, fixed_nu)
    covariance = linalg.inv(expected + penalty)
    log_likelihood = _log_likelihood(coefficients, designs, y, fixed_nu)[0]
    return CentileModel(
        family=family,
        terms=terms,
        smoothing=smoothing,
        coefficients=coefficients,
        covariance=covariance,
        term_df=_term_df(covariance, expected, terms),
        n=y.size,
        deviance=-2 * log_likelihood,
        marginal_likelihood=log_likelihood + _laplace(coefficients, covariance, penalty, terms, smoothing),
        rounds=rounds,
    )


def _term_df(covariance: np.ndarray, expected: np.ndarray, terms: tuple[Term, ...]) -> np.ndarray:
    """Return the effective degrees of freedom of each term: the trace of its part of V I."""
    df = np.einsum("ij,ji->i", covariance, expected)
    return np.array([df[where].sum() for where in _slices(terms)])


def _laplace(
    coefficients: np.ndarray,
    covariance: np.ndarray,
    penalty: np.ndarray,
    terms: tuple[Term, ...],
    smoothing: np.ndarray,
) -> float:
    """Return what Laplace's approximation adds to the log-likelihood (Wood & Fasiolo 2017, eq. 3)."""
    eigenvalues = [
        weight * values[values > 1e-9 * values.max()]
        for term, weight in zip(terms, smoothing, strict=True)
        for values in [linalg.eigvalsh(term.penalty())]
    ]
    unpenalised = coefficients.size - sum(values.size for values in eigenvalues)
    log_prior = sum(np.log(values).sum() for values in eigenvalues) - coefficients @ penalty @ coefficients
    return float(log_prior + np.linalg.slogdet(covariance)[1] + unpenalised * np.log(2 * np.pi)) / 2


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
    coefficients: np.ndarray,
    designs: Designs,
    y: np.ndarray,
    penalty: np.ndarray,
    fixed_nu: float | None,
    tau: float = np.inf,
    least_gain: float = LEAST_GAIN,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the maximum of the penalised likelihood and the information there: Fisher scoring with halved steps.

    Where the tails are so heavy that the expected information misleads and it creeps, L-BFGS finishes on the scale that
    the information gives.
    """

    def objective(b: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = _log_likelihood(b, designs, y, fixed_nu, tau)
        return value - b @ penalty @ b / 2, gradient - penalty @ b

    value, gradient = objective(coefficients)
    for _ in range(MAX_STEPS):
        expected = _information(coefficients, designs, fixed_nu)
        factor = linalg.cho_factor(expected + penalty)
        step = linalg.cho_solve(factor, gradient)
        gain = gradient @ step
        if gain < least_gain:
            return coefficients, expected
        fraction = 1.0
        trial, trial_gradient = objective(coefficients + step)
        while not trial > value and fraction > 1e-6:
            fraction /= 2
            trial, trial_gradient = objective(coefficients + fraction * step)
        coefficients, value, gradient = coefficients + fraction * step, trial, trial_gradient
    root = linalg.cholesky(_information(coefficients, designs, fixed_nu) + penalty)

    def descend(u: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = objective(coefficients + linalg.solve_triangular(root, u))
        return -value, -linalg.solve_triangular(root, gradient, trans="T")

    options = {"maxiter": MAX_CLIMBS, "ftol": 1e-12, "gtol": 1e-2}
    found = optimize.minimize(descend, np.zeros(root.shape[0]), jac=True, method="L-BFGS-B", options=options)
    if not found.success:
        raise linalg.LinAlgError("no convergence")
    coefficients = coefficients + linalg.solve_triangular(root, found.x)
    return coefficients, _information(coefficients, designs, fixed_nu)
