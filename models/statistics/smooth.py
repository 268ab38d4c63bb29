"""Smooth terms of the normative models: B-splines of age and BMI, their tensor products, their penalties.

Belongs here: knots, design matrices, penalty matrices. Does not belong here: the distribution of the measure (box_cox.py),
the fit (normative.py).
"""

from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg
from scipy.interpolate import BSpline

AGE, BMI = "age_years", "bmi_kg_m2"
KNOT_MARGIN = 3.0
DEGREE = 3


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
        x = scale(self.covariate, covariates[self.covariate])
        return BSpline(self.knots, self.centring, DEGREE, extrapolate=False)(x)

    def penalty(self, order: int) -> np.ndarray:
        """Return the difference penalty of this order on the free coefficients, shape (k - 1, k - 1)."""
        differences = np.diff(np.eye(len(self.centring)), order, axis=0) @ self.centring
        return differences.T @ differences


@dataclass(frozen=True)
class Term:
    """A smooth term of one parameter: the (tensor) product of its bases, and the order of its difference penalty.

    Order 2 leaves a straight line free. Order 1 leaves nothing free: without evidence the term shrinks to none.
    """

    parameter: str
    bases: tuple[Basis, ...]
    order: int

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
        """Return the penalty matrix, shape (size, size): differences along every axis (Eilers & Marx 1996)."""
        if len(self.bases) == 1:
            return self.bases[0].penalty(self.order)
        left, right = (basis.penalty(self.order) for basis in self.bases)
        return np.kron(left, np.eye(len(right))) + np.kron(np.eye(len(left)), right)

    def spline_coefficients(self, free: np.ndarray) -> np.ndarray:
        """Return the coefficients of the plain B-splines, shape (k,) or (k1, k2), from the `size` free ones."""
        centring = reduce(np.kron, [basis.centring for basis in self.bases])
        return (centring @ free).reshape([len(basis.centring) for basis in self.bases])


def name_covariates(age_years: ArrayLike, bmi_kg_m2: ArrayLike | None) -> dict[str, np.ndarray]:
    """Return the covariates by name, each of shape (n,); without BMI where it is None."""
    named = {AGE: age_years} if bmi_kg_m2 is None else {AGE: age_years, BMI: bmi_kg_m2}
    return {name: np.atleast_1d(np.asarray(x, dtype=float)) for name, x in named.items()}


def scale(covariate: str, x: np.ndarray) -> np.ndarray:
    """Return the covariate on the scale of its knots: log BMI, age as it is."""
    return np.log(x) if covariate == BMI else x


def build_basis(covariate: str, x: np.ndarray, size: int) -> Basis:
    """Return `size` B-splines over the range of x, which is in years or kg/m2, and a margin."""
    low, high = scale(covariate, np.array([x.min() - KNOT_MARGIN, x.max() + KNOT_MARGIN]))
    width = (high - low) / (size - DEGREE)
    knots = low + width * np.arange(-DEGREE, size + 1)
    sums = np.asarray(BSpline.design_matrix(scale(covariate, x), knots, DEGREE).sum(axis=0)).reshape(-1, 1)
    return Basis(covariate, knots, linalg.null_space(sums.T))


def build_design(terms: tuple[Term, ...], parameter: str, covariates: dict[str, np.ndarray]) -> np.ndarray:
    """Return the design matrix of a parameter: an intercept and its terms."""
    blocks = [term.design(covariates) for term in terms if term.parameter == parameter]
    return np.column_stack([np.ones(len(next(iter(covariates.values())))), *blocks])


def _row_kronecker(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return (left[:, :, None] * right[:, None, :]).reshape(len(left), left.shape[1] * right.shape[1])
