"""Validation of a model on annotated cases: which fold did not see a case, and the study's measures on two masks.

What belongs here: what makes a validation honest. Scores of masks are `evaluation.py`'s, the statistics of agreement
`models.statistics.agreement`'s.
"""

import json
from dataclasses import replace

import numpy as np
import pandas as pd

from models.measurement.morphometry import measure
from models.segmentation.anatomy import SIDES
from models.segmentation.inference import InvalidModel, Model


def read_splits(model: Model) -> dict[str, int]:
    """Return the fold whose network did not see a training case, by the case's name.

    Read from the model's `splits.json`: a list of {"fold": k, "validation": [names]}. Empty where the model has none;
    folds without weights are left out.

    Raises
    ------
    InvalidModel
        If a case is held out by two folds.
    """
    path = model.folder / "splits.json"
    splits = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    pairs = [(name, split["fold"]) for split in splits for name in split["validation"]]
    if len(dict(pairs)) != len(pairs):
        raise InvalidModel("splits.json holds a case out in two folds: collect the model again.")
    return dict(pairs)


def choose_fold(model: Model, fold: int) -> Model:
    """The model with the network of one fold alone.

    Raises
    ------
    InvalidModel
        If the model has no such fold.
    """
    if f"fold_{fold}.pth" not in model.fold_files:
        raise InvalidModel(f"Model {model.model_version} has no weights of fold {fold}.")
    return replace(model, fold_files=(f"fold_{fold}.pth",))


def read_phantom_scores(model: Model) -> pd.DataFrame:
    """Out-of-fold scores of the phantoms that a model was trained on, as `training.score_out_of_fold`; empty where on others.

    Phantoms are nobody's images, so that no warehouse could compute these scores anew from its own.
    """
    plans = json.loads((model.folder / "plans.json").read_text(encoding="utf-8"))
    path = model.folder / "out_of_fold.csv"
    is_there = "phantom_seeds" in plans.get("training_profile", {}) and path.is_file()
    return pd.read_csv(path) if is_there else pd.DataFrame()


def compare_measures(automatic: np.ndarray, manual: np.ndarray, affine: np.ndarray) -> pd.DataFrame:
    """Return the study's measures on two masks of the same images, each mask's maximum on its own slice.

    Parameters
    ----------
    automatic, manual : ndarray (x, y, z) of int
        Label maps with the values of `anatomy.LABELS`.
    affine : ndarray (4, 4)
        Voxel indices -> RAS world, mm.

    Returns
    -------
    DataFrame
        measure (csa_psoas_{left,right,total}_cm2, volume_gluteus_{left,right,total}_l), automatic, manual, reason (why
        one of them is NaN, else None).
    """
    (first, first_reason), (second, second_reason) = (_measure(labels, affine) for labels in (automatic, manual))
    rows = [
        (measure, first[measure], second[measure], first_reason[measure] or second_reason[measure]) for measure in first
    ]
    return pd.DataFrame(rows, columns=["measure", "automatic", "manual", "reason"])


def _measure(labels: np.ndarray, affine: np.ndarray) -> tuple[dict[str, float], dict[str, str | None]]:
    """Values by measure, and the reasons of those that are NaN."""
    muscles = measure(labels, affine).muscles.set_index(["compartment", "side"])
    values, reasons = {}, {}
    for stem, unit, compartment, column, factor in (
        ("csa_psoas", "cm2", "psoas", "max_csa_cm2", 1),
        ("volume_gluteus", "l", "gluteus", "volume_ml", 1000),
    ):
        for side in SIDES:
            name, value = f"{stem}_{side}_{unit}", muscles.loc[(compartment, side), column] / factor
            values[name] = float(value)
            reasons[name] = muscles.loc[(compartment, side), "reason"] if np.isnan(value) else None
        sides = [f"{stem}_{side}_{unit}" for side in SIDES]
        values[f"{stem}_total_{unit}"] = sum(values[name] for name in sides)
        reasons[f"{stem}_total_{unit}"] = next((reasons[name] for name in sides if reasons[name]), None)
    return values, reasons
