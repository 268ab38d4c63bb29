"""Who stands behind each row of the published statistics.

What belongs here: the tables whose rows are decided together, what a person must have to be in a row, the name of the
persons' set. Deciding is the work of `suppression.py` (within a snapshot) and `republication.py` (between snapshots).
"""

import re

import pandas as pd

BANDS = ["sex", "age_band", "bmi_band"]
PROFILE_BANDS = ["sex", "age_band", "bmi_group"]
# Table -> keys of its persons' sets.
TABLES = {
    "stats.descriptive": BANDS,
    "stats.band_percentile": BANDS,
    "stats.correlation": ["sex"],
    "stats.regression": ["sex"],
    "stats.regression_test": ["sex"],
    "stats.regression_fit": ["sex"],
    "stats.profile": PROFILE_BANDS,
    "stats.profile_maximum": PROFILE_BANDS,
}


def list_needs(rows: pd.DataFrame, models: dict[str, str]) -> list[frozenset[str]]:
    """What a person must have to be in each row: measures, a profile, a sex, a centre.

    Parameters
    ----------
    rows : DataFrame
        Rows of one of `TABLES`.
    models : dict
        Terms of each model of ref.regression_model.
    """
    told_by = rows[rows.columns.intersection(["model", "measure", "covariate", "compartment", "side"])]
    return [_needs(row, models) for row in told_by.to_dict("records")]


def name_cells(table: str, rows: pd.DataFrame, models: dict[str, str]) -> list[tuple]:
    """Measures (what a person must have), sex, age band and BMI band of each row's persons; None = all."""
    keys = rows[TABLES[table]].astype(object)
    bands = keys.where(keys.notna(), None).itertuples(index=False, name=None)
    needs = list_needs(rows, models)
    return [
        (" + ".join(sorted(need)), *band, *[None] * (len(BANDS) - len(band)))
        for need, band in zip(needs, bands, strict=True)
    ]


def _needs(row: dict, models: dict[str, str]) -> frozenset[str]:
    if "compartment" in row:
        return frozenset({f"profile {row['compartment']} {row['side']}"})
    if "model" in row:
        names = set(re.findall(r"[a-z][a-z0-9_]*", models[row["model"]].replace("spline(", "(")))
        return frozenset({row["measure"], *(names - {"sex_male"}), *({"sex"} if "sex_male" in names else ())})
    return frozenset({row["measure"], *([row["covariate"]] if "covariate" in row else [])})
