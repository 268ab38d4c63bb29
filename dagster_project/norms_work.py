"""What a worker process does for the norms of one measure in one sex: fit, grids, validation. No Dagster, no DuckDB here."""

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd

from models.statistics import calibration, norm_table, normative
from models.statistics.box_cox import z_of
from models.statistics.smooth import AGE, BMI


@dataclass(frozen=True)
class NormsCase:
    """A measure in one sex.

    Attributes
    ----------
    covariates : str
        `age` or `age,bmi`.
    people : DataFrame
        One row a person: value, age_years, bmi_kg_m2, age_band, bmi_band, is_warned (by quality control).
    plausible : tuple of float or None
        Between which the median must lie, in the unit of the measure.
    """

    measure: str
    sex: str
    covariates: str
    people: pd.DataFrame
    plausible: tuple[float, float] | None


def fit_norms(case: NormsCase) -> dict[str, pd.DataFrame]:
    """Fit, grid and validate; returns the rows of each table of schema norms, without their keys.

    Raises
    ------
    NormsRefused
        As `normative.fit`.
    """
    used = ["value", AGE] if case.covariates == "age" else ["value", AGE, BMI]
    people = case.people.dropna(subset=used).reset_index(drop=True)
    age, bmi, value = _arrays(people, case.covariates)
    model = normative.fit(age, bmi, value, plausible=case.plausible)
    support = norm_table.support(age, bmi)
    lms = norm_table.lms_grid(model, support)
    folds = calibration.cross_validate(model, age, bmi, value)
    unseen_z = calibration.out_of_fold_z(folds, age, bmi, value)
    z = z_of(model, age, bmi, value)
    has_bmi = bmi is not None
    bands = people[["age_band", "bmi_band"]] if has_bmi else people[["age_band"]]
    return {
        "norms.centile_model": _describe(model, z),
        "norms.lms": lms,
        "norms.centile": norm_table.centile_grid(model, support),
        "norms.worm": calibration.worm(z, people["age_band"]).rename(columns={"band": "age_band"}),
        "norms.q_statistic": calibration.q_statistics(z, people["age_band"]).rename(columns={"band": "age_band"}),
        "norms.coverage": calibration.coverage(unseen_z, people["age_band"], people["bmi_band"] if has_bmi else None),
        "norms.pinball_loss": calibration.pinball(folds, age, bmi, value, bands),
        "norms.family": calibration.compare_families(model, age, bmi, value).assign(
            is_served=lambda table: table["family"] == model.family
        ),
        "norms.shift": _leave_out_warned(people, case.covariates, model, lms),
    }


def _arrays(people: pd.DataFrame, covariates: str) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    age, bmi, value = (people[column].to_numpy(float) for column in (AGE, BMI, "value"))
    return age, None if covariates == "age" else bmi, value


def _describe(model: normative.CentileModel, z: np.ndarray) -> pd.DataFrame:
    df = dict(zip((term.name for term in model.terms), model.term_df, strict=True))
    row = {
        "n": model.n,
        "effective_df": model.effective_df,
        "interaction_df": df.get(f"{normative.MU}:{AGE} x {BMI}"),
        "skewness_df": sum(own for name, own in df.items() if name.startswith(normative.NU)),
        "deviance": model.deviance,
        "marginal_likelihood": model.marginal_likelihood,
        "gaic3": model.gaic3,
        "coefficients": json.dumps(normative.describe(model), allow_nan=False),
    }
    return pd.DataFrame([row | calibration.moments(z)])


def _leave_out_warned(
    people: pd.DataFrame, covariates: str, model: normative.CentileModel, lms: pd.DataFrame
) -> pd.DataFrame:
    """The shift of the norms by the cases that quality control warned about; no row where there are none."""
    kept = people[~people["is_warned"]]
    if len(kept) == len(people):
        return pd.DataFrame()
    row = {"comparison": "without warned cases", "n_left_out": len(people) - len(kept)}
    age, bmi, value = _arrays(kept, covariates)
    try:
        without = normative.fit(age, bmi, value, start=model)
    except normative.NormsRefused:
        return pd.DataFrame([row])
    grid = norm_table.lms_grid(without, norm_table.support(age, bmi))
    shift = norm_table.compare(grid.assign(model=1), lms.assign(model=1), ["model"]).drop(columns="model")
    return shift.assign(**row)
