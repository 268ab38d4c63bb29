"""Associations of measures with sex, age, height, weight, BMI and study centre.

Belongs here: correlation and ordinary least squares, with intervals and p values. No survey weights anywhere.
Does not belong here: the choice of models (ref.regression_model), centiles, suppression.

Input everywhere is a long frame with one row per person and measure: measure, value, sex, age_years, height_cm,
weight_kg, bmi_kg_m2, centre. In results a null sex means both sexes pooled.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import linalg, stats
from statsmodels.stats.multitest import multipletests

COVARIATES = ("age_years", "height_cm", "weight_kg", "bmi_kg_m2")
SEX_MALE, CENTRE, INTERCEPT = "sex_male", "centre", "Intercept"
LEAST_PAIRS = 4
LEAST_CATEGORY = 10
COLLINEAR = 1e-10
KNOT_QUANTILES = (0.05, 0.275, 0.5, 0.725, 0.95)
SPLINE_LEVELS = (20, 30, 40, 60, 70)
CORRELATION_COLUMNS = ["measure", "covariate", "sex", "n", "r", "ci_low", "ci_high", "p", "p_holm", "strength"]
CORRELATION_COLUMNS += ["spearman", "spearman_p"]
FIT_KEYS = ["model", "measure", "sex"]
REGRESSION_COLUMNS = [*FIT_KEYS, "term", "n", "estimate", "se", "ci_low", "ci_high", "p", "p_holm"]
REGRESSION_COLUMNS += ["standardised", "partial_r_squared", "r_squared"]
TEST_COLUMNS = [*FIT_KEYS, "test", "n", "df", "f", "p", "p_holm", "partial_r_squared"]
FIT_COLUMNS = [*FIT_KEYS, "n", "r_squared", "adjusted_r_squared", "residual_sd", "residual_skewness"]
FIT_COLUMNS += ["residual_excess_kurtosis", "breusch_pagan_p"]
_PART = re.compile(r"(?P<name>[a-z][a-z0-9_]*)(?:-(?P<centring>[0-9.]+))?")


def correlate(values: pd.DataFrame, covariates: Sequence[str] = COVARIATES) -> pd.DataFrame:
    """Return Pearson's r of every measure with every covariate, Spearman's beside it, by sex and pooled.

    Parameters
    ----------
    values : DataFrame
        See the module's docstring.
    covariates : sequence of str
        Columns of `values`.

    Returns
    -------
    DataFrame
        measure, covariate, sex, n (complete pairs), r, ci_low, ci_high (95 %, Fisher 1921), p (two-sided t test),
        p_holm (Holm 1979, over all rows), strength (of r), spearman (r of mid-ranks) and spearman_p (t approximation).
        No row for fewer than 4 pairs, a constant, or a covariate with itself.
    """
    rows = []
    for measure, sex, group in _groups(values):
        for covariate in covariates:
            pairs = group[["value", covariate]].astype(float)
            pairs = pairs[np.isfinite(pairs).all(axis=1)]
            if covariate == measure or len(pairs) < LEAST_PAIRS or (pairs.nunique() == 1).any():
                continue
            result = stats.pearsonr(pairs[covariate], pairs["value"])
            limits = result.confidence_interval(0.95)
            r = result.statistic
            of_ranks = stats.spearmanr(pairs[covariate], pairs["value"])
            row = [measure, covariate, sex, len(pairs), r, limits.low, limits.high, result.pvalue, np.nan, strength(r)]
            rows.append([*row, of_ranks.statistic, of_ranks.pvalue])
    table = pd.DataFrame(rows, columns=CORRELATION_COLUMNS).astype({"sex": str})
    return table.assign(p_holm=_holm(table["p"]))


def strength(r: float) -> str:
    """Return the word for a correlation: negligible |r| < 0.1, weak < 0.3, moderate < 0.5, else strong."""
    return ("negligible", "weak", "moderate", "strong")[int(np.digitize(abs(r), [0.1, 0.3, 0.5]))]


@dataclass(frozen=True)
class Regression:
    """Three tables of the same fits: one row per coefficient, per joint test, per fit."""

    coefficients: pd.DataFrame
    tests: pd.DataFrame
    fits: pd.DataFrame


def regress(values: pd.DataFrame, models: pd.DataFrame) -> Regression:
    """Fit ordinary least squares with HC3 covariance (MacKinnon & White 1985) for every measure and model.

    Parameters
    ----------
    values : DataFrame
        See the module's docstring.
    models : DataFrame
        model, terms: separated by commas. A term is a covariate, `age_years-50` (centred at 50), `sex_male` (1 = male,
        0 = female), `centre` (categories; those under 10 persons are taken together), `a:b` (product), or
        `spline(age_years-50)`: a natural cubic spline with knots at the 5, 27.5, 50, 72.5 and 95 % quantiles (Harrell
        2015, section 2.4). A model with sex_male is fitted to both sexes together, any other within each sex and pooled.

    Returns
    -------
    Regression
        coefficients: model, measure, sex, term, n (complete cases), estimate (unit of the measure per unit of the
        term), se, ci_low, ci_high (95 %, t with n - p degrees of freedom), p, p_holm (Holm 1979, over all rows but the
        intercepts), standardised (estimate SD(x) / SD(y)), partial_r_squared, r_squared. A spline has rows that compare
        an age with the age of its centring. Centres have joint tests only.
        tests: F tests with HC3 covariance, test = `centre`, `age_years` (the whole spline), `age_years: nonlinear`
        (the spline against the straight line).
        fits: R2, adjusted R2, and of the residuals SD, skewness, excess kurtosis and the p of Breusch & Pagan's test
        in Koenker's form.
        No rows where n <= p + 2, p the number of parameters, or the terms are constant or collinear, or a term is the
        measure itself.
    """
    fits = [
        (dict(zip(FIT_KEYS, (model, measure, sex), strict=True)), fit)
        for measure, sex, group in _groups(values)
        for model, terms in zip(models["model"], models["terms"], strict=True)
        if (SEX_MALE not in terms or sex is None) and measure not in re.split(r"\W", terms)
        if (fit := _fit(group, terms.replace(" ", "").split(",")))
    ]
    coefficients = _collect([row | key for key, fit in fits for row in fit.coefficients()], REGRESSION_COLUMNS)
    tests = _collect([row | key for key, fit in fits for row in fit.tests()], TEST_COLUMNS)
    tested = coefficients["term"] != INTERCEPT
    coefficients.loc[tested, "p_holm"] = _holm(coefficients.loc[tested, "p"])
    return Regression(
        coefficients,
        tests.assign(p_holm=_holm(tests["p"])),
        _collect([fit.summary() | key for key, fit in fits], FIT_COLUMNS),
    )


def _collect(rows: list[dict], columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=columns).astype({"sex": str})


def _holm(p: pd.Series) -> np.ndarray:
    return multipletests(p, method="holm")[1] if len(p) else p.to_numpy()


def _groups(values: pd.DataFrame) -> Iterator[tuple[str, str | None, pd.DataFrame]]:
    """Yield measure, sex (None = pooled) and their rows."""
    for measure, rows in values.groupby("measure", observed=True):
        yield measure, None, rows
        for sex, group in rows.groupby("sex", observed=True):
            yield measure, sex, group


@dataclass(frozen=True)
class _Contrast:
    """A linear combination of coefficients with a name; `sd` of what it multiplies, NaN where there is no such thing."""

    name: str
    weights: np.ndarray
    sd: float


class _Fit:
    """One fit. `x` has the intercept first; `contrasts` are its published rows, `joint` its joint tests by columns."""

    def __init__(self, x: np.ndarray, y: np.ndarray, contrasts: list[_Contrast], joint: dict[str, list[int]]):
        self._contrasts, self._joint = contrasts, joint
        self.n, p = x.shape
        self._y_sd, self._df = y.std(ddof=1), self.n - p
        q, r = linalg.qr(x, mode="economic")
        inverse = linalg.solve_triangular(r, np.eye(p))
        self._b = inverse @ (q.T @ y)
        self._residuals, leverage = y - x @ self._b, (q**2).sum(axis=1)
        scores = q * (self._residuals / (1 - leverage))[:, None]
        self._robust = inverse @ (scores.T @ scores) @ inverse.T
        self._sum_of_squares = float(self._residuals @ self._residuals)
        self._classical = inverse @ inverse.T * self._sum_of_squares / self._df
        self.r_squared = 1 - self._sum_of_squares / float(((y - y.mean()) ** 2).sum())
        squared = self._residuals**2
        explained = ((q @ (q.T @ squared) - squared.mean()) ** 2).sum() / ((squared - squared.mean()) ** 2).sum()
        self._breusch_pagan_p = stats.chi2.sf(self.n * explained, p - 1)

    def coefficients(self) -> Iterator[dict]:
        """Yield one row per contrast."""
        for contrast in self._contrasts:
            weights = contrast.weights
            estimate, se = weights @ self._b, np.sqrt(weights @ self._robust @ weights)
            half_width = stats.t.ppf(0.975, self._df) * se
            t_squared = estimate**2 / (weights @ self._classical @ weights)
            yield {
                "term": contrast.name,
                "n": self.n,
                "estimate": estimate,
                "se": se,
                "ci_low": estimate - half_width,
                "ci_high": estimate + half_width,
                "p": 2 * stats.t.sf(abs(estimate / se), self._df),
                "standardised": estimate * contrast.sd / self._y_sd,
                "partial_r_squared": t_squared / (t_squared + self._df) if np.isfinite(contrast.sd) else np.nan,
                "r_squared": self.r_squared,
            }

    def tests(self) -> Iterator[dict]:
        """Yield one row per joint test."""
        for name, columns in self._joint.items():
            block, b = np.ix_(columns, columns), self._b[columns]
            f = b @ np.linalg.solve(self._robust[block], b) / len(columns)
            wald = b @ np.linalg.solve(self._classical[block], b)
            yield {
                "test": name,
                "n": self.n,
                "df": len(columns),
                "f": f,
                "p": stats.f.sf(f, len(columns), self._df),
                "partial_r_squared": wald / (wald + self._df),
            }

    def summary(self) -> dict:
        """Return the row of the fit."""
        return {
            "n": self.n,
            "r_squared": self.r_squared,
            "adjusted_r_squared": 1 - (1 - self.r_squared) * (self.n - 1) / self._df,
            "residual_sd": np.sqrt(self._sum_of_squares / self._df),
            "residual_skewness": stats.skew(self._residuals),
            "residual_excess_kurtosis": stats.kurtosis(self._residuals),
            "breusch_pagan_p": self._breusch_pagan_p,
        }


def _fit(group: pd.DataFrame, terms: list[str]) -> _Fit | None:
    """Fit `value` on terms; None where that is not possible."""
    people = group.assign(**{SEX_MALE: group["sex"].map({"F": 0.0, "M": 1.0})})
    names = {name for term in terms for name in re.findall(r"[a-z][a-z0-9_]*", term.removeprefix("spline"))}
    people = people[["value", *sorted(names)]].dropna()
    numbers = people[["value", *sorted(names - {CENTRE})]].astype(float)
    people = people[np.isfinite(numbers).all(axis=1)]
    y = people["value"].to_numpy(float)
    if not len(people) or np.ptp(y) == 0:
        return None
    blocks, parts, joint = [np.ones((len(people), 1))], [(INTERCEPT, np.ones((1, 1)), np.nan)], {}
    for term in terms:
        start = sum(block.shape[1] for block in blocks)
        if term == CENTRE:
            block = pd.get_dummies(_pool_small(people[CENTRE]), drop_first=True).to_numpy(float)
            joint[CENTRE] = list(range(start, start + block.shape[1]))
            rows = []
        elif term.startswith("spline("):
            match = _PART.fullmatch(term[len("spline(") : -1])
            name, x, centre = match["name"], people[match["name"]].to_numpy(float), float(match["centring"] or 0)
            if np.unique(np.quantile(x, KNOT_QUANTILES)).size < len(KNOT_QUANTILES):
                return None
            block = natural_spline(x, x, centre)
            columns = list(range(start, start + block.shape[1]))
            joint |= {name: columns, f"{name}: nonlinear": columns[1:]}
            levels = [level for level in SPLINE_LEVELS if x.min() <= level <= x.max()]
            rows = [
                (f"{name}: {level} against {centre:g}", natural_spline(np.array([level]), x, centre), np.nan)
                for level in levels
            ]
        else:
            block = np.prod([_centred(people, part) for part in term.split(":")], axis=0)[:, None]
            name = ":".join(_PART.fullmatch(part)["name"] for part in term.split(":"))
            rows = [(name, np.ones((1, 1)), block.std(ddof=1))]
        blocks.append(block)
        parts += [(name, np.hstack([np.zeros((1, start)), weights]), sd) for name, weights, sd in rows]
    x = np.hstack(blocks)
    if len(x) <= x.shape[1] + 2 or _is_collinear(x):
        return None
    contrasts = [
        _Contrast(name, np.pad(weights[0], (0, x.shape[1] - weights.shape[1])), sd) for name, weights, sd in parts
    ]
    return _Fit(x, y, contrasts, joint)


def _pool_small(categories: pd.Series) -> pd.Series:
    """Return the categories with the smallest taken together until each has at least 10 persons."""
    sizes = categories.value_counts(ascending=True).sort_index().sort_values(kind="stable")
    n_pooled = int((sizes < LEAST_CATEGORY).sum())
    while 0 < n_pooled < len(sizes) and sizes.iloc[:n_pooled].sum() < LEAST_CATEGORY:
        n_pooled += 1
    return categories.where(~categories.isin(sizes.index[:n_pooled]), "")


def _is_collinear(x: np.ndarray) -> bool:
    norms = np.linalg.norm(x, axis=0)
    if not norms.all():
        return True
    gram = x.T @ x / np.outer(norms, norms)
    return bool(np.linalg.eigvalsh(gram)[0] < COLLINEAR)


def _centred(people: pd.DataFrame, part: str) -> np.ndarray:
    match = _PART.fullmatch(part)
    return people[match["name"]].to_numpy(float) - float(match["centring"] or 0)


def natural_spline(x: np.ndarray, sample: np.ndarray, centre: float) -> np.ndarray:
    """Return the basis of a natural cubic spline that is 0 at `centre`, shape (n, 4): straight line first.

    Truncated powers with linear tails, knots at quantiles of `sample`, divided by the squared distance of the outer
    knots (Harrell 2015, Regression Modeling Strategies, eq. 2.25).
    """
    knots = np.quantile(sample, KNOT_QUANTILES)
    *inner, last_but_one, last = knots

    def basis(at: np.ndarray) -> np.ndarray:
        cubes = np.maximum(at[:, None] - knots, 0) ** 3
        tail, end = cubes[:, -2], cubes[:, -1]
        columns = [
            (
                cubes[:, j]
                - tail * (last - knot) / (last - last_but_one)
                + end * (last_but_one - knot) / (last - last_but_one)
            )
            / (last - knots[0]) ** 2
            for j, knot in enumerate(inner)
        ]
        return np.column_stack([at, *columns])

    return basis(np.asarray(x, dtype=float)) - basis(np.array([centre], dtype=float))
