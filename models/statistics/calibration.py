"""Whether norms are calibrated: what a reader needs to believe a centile, computed from persons' z-scores.

Belongs here: worm plots, Q statistics, moments, observed coverage, cross-validation, comparison of families. Does not
belong here: the fit (normative.py), what is done about a finding (the asset checks).

Band arguments are arrays of shape (n,) of names, null where a person has none.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import special, stats

from models.statistics.box_cox import Z95, value_of, z_of
from models.statistics.norm_table import CENTILES
from models.statistics.normative import CentileModel, NormsRefused, fit, fit_heavy_tails

FOLDS = 5
FOLD_SEED = 20260101
WORM_Z = np.round(np.linspace(-2.4, 2.4, 25), 1)
LEAST_IN_BAND = 50
BANDED_PERCENTILES = (10, 25, 50, 75, 90)
LEAST_IN_CELL = 20
FAMILIES = ("NO", "LNO", "BCCG", "BCT")


def moments(z: np.ndarray) -> dict[str, float]:
    """Return mean, SD, skewness and excess kurtosis of z-scores; 0, 1, 0, 0 where the model is right."""
    found = {"z_mean": z.mean(), "z_sd": z.std(ddof=1), "z_skewness": stats.skew(z), "z_kurtosis": stats.kurtosis(z)}
    return {name: float(x) for name, x in found.items()}


def worm(z: np.ndarray, band: ArrayLike) -> pd.DataFrame:
    """Return the detrended Q-Q plots of z-scores by band, at fixed points instead of persons (van Buuren & Fredriks 2001).

    Returns
    -------
    DataFrame
        band, z, n, n_beyond (persons expected beyond the point, rounded up), deviation (empirical quantile minus z)
        with its 95 % limits under a right model, +-1.96 sqrt(p (1 - p)/n)/phi(z), all in units of z. Bands of at least
        50 persons.
    """
    rows = []
    for name, own in _bands(z, band):
        p = special.ndtr(WORM_Z)
        half_width = Z95 * np.sqrt(p * (1 - p) / own.size) / stats.norm.pdf(WORM_Z)
        rows.append(
            pd.DataFrame(
                {
                    "band": name,
                    "z": WORM_Z,
                    "n": own.size,
                    "n_beyond": _count_beyond(own.size, p),
                    "deviation": np.quantile(own, p) - WORM_Z,
                    "ci_low": -half_width,
                    "ci_high": half_width,
                }
            )
        )
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()


def q_statistics(z: np.ndarray, band: ArrayLike) -> pd.DataFrame:
    """Return the Q statistics of z-scores by band (Royston & Wright 2000, doi 10.1002/1097-0258(20001115)19:21<2943).

    Z1 = sqrt(n) mean; Z2 the cube-root normalised variance; Z3, Z4 D'Agostino's tests of skewness and kurtosis.
    Each is standard normal where the model is right; beyond +-2 in one band it is not.

    Returns
    -------
    DataFrame
        band, n, z1, z2, z3, z4; bands of at least 50 persons.
    """
    rows = []
    for name, own in _bands(z, band):
        scale = 2 / (9 * (own.size - 1))
        rows.append(
            {
                "band": name,
                "n": own.size,
                "z1": np.sqrt(own.size) * own.mean(),
                "z2": (own.var(ddof=1) ** (1 / 3) - (1 - scale)) / np.sqrt(scale),
                "z3": stats.skewtest(own).statistic,
                "z4": stats.kurtosistest(own).statistic,
            }
        )
    return pd.DataFrame(rows)


def coverage(
    z: np.ndarray, age_band: ArrayLike, bmi_band: ArrayLike | None, centiles: Sequence[float] = CENTILES
) -> pd.DataFrame:
    """Return the share of persons observed below each centile, in all, by age band, by BMI band and by both.

    Returns
    -------
    DataFrame
        age_band, bmi_band (null = all), centile, n, n_beyond (persons expected on the smaller side, rounded up),
        observed_pct, its exact 95 % limits ci_low, ci_high (Clopper & Pearson 1934, percent), and p, two-sided exact
        binomial against the centile's name. Cells of at least 20 persons.
    """
    people = pd.DataFrame({"z": z, "age_band": age_band, "bmi_band": None if bmi_band is None else bmi_band})
    groupings = [[], ["age_band"]] + ([] if bmi_band is None else [["bmi_band"], ["age_band", "bmi_band"]])
    rows = []
    for by in groupings:
        for cell in [people] if not by else [group for _, group in people.dropna(subset=by).groupby(by)]:
            if len(cell) >= LEAST_IN_CELL:
                names = {name: cell[name].iloc[0] if name in by else None for name in ("age_band", "bmi_band")}
                rows.append(_cover(cell["z"].to_numpy(), np.asarray(centiles, dtype=float)).assign(**names))
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()


def holm(p: np.ndarray) -> np.ndarray:
    """Return p-values corrected for their number (Holm 1979)."""
    order = np.argsort(p)
    corrected = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    result = np.empty(p.size)
    result[order] = np.minimum(corrected, 1)
    return result


def assign_folds(n: int) -> np.ndarray:
    """Return the fold, 0 to 4, of each of n persons: a fixed shuffle, folds of equal size."""
    return np.random.default_rng(FOLD_SEED).permutation(np.arange(n) % FOLDS)


def cross_validate(
    model: CentileModel, age_years: np.ndarray, bmi_kg_m2: np.ndarray | None, value: np.ndarray
) -> list[CentileModel]:
    """Return the model fitted without each fold of `assign_folds`; knots of the full fit, penalties chosen anew.

    Parameters
    ----------
    model : CentileModel
        Fitted to all.
    age_years, bmi_kg_m2, value : ndarray, shape (n,)
        The persons it was fitted to.
    """
    fold = assign_folds(value.size)
    return [
        fit(age_years[kept], None if bmi_kg_m2 is None else bmi_kg_m2[kept], value[kept], model.family, model)
        for kept in (fold != k for k in range(FOLDS))
    ]


def out_of_fold_z(
    models: Sequence[CentileModel], age_years: np.ndarray, bmi_kg_m2: np.ndarray | None, value: np.ndarray
) -> np.ndarray:
    """Return each person's z-score under the model that did not see the person, shape (n,)."""
    fold, z = assign_folds(value.size), np.empty(value.size)
    for k, model in enumerate(models):
        own = fold == k
        z[own] = z_of(model, age_years[own], None if bmi_kg_m2 is None else bmi_kg_m2[own], value[own])
    return z


def pinball(
    models: Sequence[CentileModel],
    age_years: np.ndarray,
    bmi_kg_m2: np.ndarray | None,
    value: np.ndarray,
    bands: pd.DataFrame,
) -> pd.DataFrame:
    """Return the cross-validated pinball loss of the models beside that of the study's banded percentiles.

    Loss of a percentile q at p: max(p (y - q), (p - 1)(y - q)) (Koenker & Bassett 1978); lower is better. The banded
    percentile is the empirical one (type 7) of the person's cell in the other folds; persons whose cell has fewer than
    20 others there count for neither.

    Parameters
    ----------
    bands : DataFrame, n rows
        The columns whose combinations are the cells, for example age_band and bmi_band.

    Returns
    -------
    DataFrame
        centile, n, model_loss, banded_loss (mean, unit of the measure), gain_pct (100 (1 - model/banded)), z: mean
        difference over its standard error; positive where the model wins.
    """
    fold, parts = assign_folds(value.size), []
    cells = bands.astype(str).agg(" ".join, axis=1).where(bands.notna().all(axis=1))
    for k, model in enumerate(models):
        train = pd.Series(value[fold != k]).groupby(cells[fold != k].to_numpy())
        table = train.quantile([p / 100 for p in BANDED_PERCENTILES]).unstack()[train.size() >= LEAST_IN_CELL]
        has_cell = (fold == k) & cells.isin(table.index).to_numpy()
        bmi = None if bmi_kg_m2 is None else bmi_kg_m2[has_cell]
        banded = table.loc[cells[has_cell]].to_numpy()
        fitted = np.stack([value_of(model, age_years[has_cell], bmi, p) for p in BANDED_PERCENTILES], axis=1)
        parts.append(np.stack([_loss(value[has_cell], fitted), _loss(value[has_cell], banded)]))
    losses = np.concatenate(parts, axis=1)
    n = losses.shape[1]
    if n < LEAST_IN_BAND:
        return pd.DataFrame()
    difference = losses[1] - losses[0]
    model_loss, banded_loss = losses.mean(axis=1)
    return pd.DataFrame(
        {
            "centile": BANDED_PERCENTILES,
            "n": n,
            "model_loss": model_loss,
            "banded_loss": banded_loss,
            "gain_pct": 100 * (1 - model_loss / banded_loss),
            "z": np.sqrt(n) * difference.mean(axis=0) / difference.std(axis=0, ddof=1),
        }
    )


def compare_families(
    model: CentileModel, age_years: np.ndarray, bmi_kg_m2: np.ndarray | None, value: np.ndarray
) -> pd.DataFrame:
    """Return normal, log-normal, Box-Cox-Cole-Green and Box-Cox t side by side on the same persons.

    Returns
    -------
    DataFrame
        family, deviance, effective_df, gaic3 (lower is better), tail_df (BCT only).
    """
    rows = []
    for family in FAMILIES:
        if family == "BCCG":
            fitted = model
        elif family == "BCT":
            fitted = fit_heavy_tails(model, age_years, bmi_kg_m2, value)
        else:
            try:
                fitted = fit(age_years, bmi_kg_m2, value, family, model)
            except NormsRefused:
                continue
        row = {"deviance": fitted.deviance, "effective_df": fitted.effective_df, "gaic3": fitted.gaic3}
        rows.append({"family": family, **row, "tail_df": fitted.tau if np.isfinite(fitted.tau) else np.nan})
    return pd.DataFrame(rows)


def _bands(z: np.ndarray, band: ArrayLike) -> Iterator[tuple[str, np.ndarray]]:
    for name, own in pd.Series(z).groupby(np.asarray(band, dtype=object)):
        if len(own) >= LEAST_IN_BAND:
            yield name, own.to_numpy()


def _count_beyond(n: int, p: np.ndarray) -> np.ndarray:
    return np.ceil(n * np.minimum(p, 1 - p) - 1e-9).astype(int)


def _cover(z: np.ndarray, centiles: np.ndarray) -> pd.DataFrame:
    n, p = z.size, centiles / 100
    below = np.sum(z[:, None] < special.ndtri(p), axis=0)
    low = np.where(below > 0, stats.beta.ppf(0.025, below, n - below + 1), 0)
    high = np.where(below < n, stats.beta.ppf(0.975, below + 1, n - below), 1)
    two_sided = 2 * np.minimum(stats.binom.cdf(below, n, p), stats.binom.sf(below - 1, n, p))
    return pd.DataFrame(
        {
            "centile": centiles.astype(int),
            "n": n,
            "n_beyond": _count_beyond(n, p),
            "observed_pct": 100 * below / n,
            "ci_low": 100 * low,
            "ci_high": 100 * high,
            "p": np.minimum(two_sided, 1),
        }
    )


def _loss(value: np.ndarray, percentiles: np.ndarray) -> np.ndarray:
    p, excess = np.array(BANDED_PERCENTILES) / 100, value[:, None] - percentiles
    return np.maximum(p * excess, (p - 1) * excess)
