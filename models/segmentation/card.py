"""The card of a trained model: data, profile, scores, versions, licence, in words that people read.

What belongs here: filling in the template beside this module. The scores come from `training.py`.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

WITHOUT_MIRRORING = ("nnUNetTrainerMyonorm", "nnUNetTrainerNoMirroring")
SYNTHETIC_USE = (
    "It was trained on **synthetic phantoms** and on no person, and must not be used on one: it exists so that the whole system"
    " can be run, tested and shown without restricted data."
)
HUMAN_USE = (
    "For research on images acquired like those it was trained on. Weights learned from people are not anonymous by"
    " themselves: share them as the study's data protection allows."
)
SYNTHETIC_LICENCE = "Apache-2.0"
HUMAN_LICENCE = "none yet: the study that owns the training data decides"


@dataclass(frozen=True)
class DataDescription:
    """What a card says of the cases a model was trained and tested on; synthetic: no person is among them."""

    training: str
    test: str
    is_synthetic: bool


def describe_model(
    folder: Path,
    model_version: str,
    configuration: str,
    profile: dict[str, Any],
    data: DataDescription,
    versions: dict[str, str],
    test: pd.DataFrame | None = None,
) -> str:
    """The model card: the template beside this module, filled in.

    Parameters
    ----------
    folder
        A model folder; its out-of-fold scores go into the card.
    configuration
        nnU-Net's name.
    profile
        What it was trained by.
    data
        What the cases are.
    versions
        Of the libraries it was trained with.
    test
        `score_model` of the held-out cases; None: not tested yet.
    """
    out_of_fold = pd.read_csv(folder / "out_of_fold.csv")
    plan = json.loads((folder / "plans.json").read_text())["configurations"][configuration]
    frames = [out_of_fold] if test is None else [out_of_fold, test]
    template = (Path(__file__).parent / "MODEL_CARD.template.md").read_text(encoding="utf-8")
    is_myonorms = profile["trainer"] == "nnUNetTrainerMyonorm"
    schedule = f"epochs {profile['epochs']}, iterations per epoch {profile['iterations_per_epoch']}, initial learning rate {profile['initial_lr']}"
    return template.format(
        model_version=model_version,
        use=SYNTHETIC_USE if data.is_synthetic else HUMAN_USE,
        licence=SYNTHETIC_LICENCE if data.is_synthetic else HUMAN_LICENCE,
        profile=profile["name"],
        trainer=profile["trainer"],
        n_cases=json.loads((folder / "dataset.json").read_text())["numTraining"],
        training_data=data.training,
        n_folds=profile["folds"],
        start=f"the weights of {Path(profile['start_from']).name}" if "start_from" in profile else "random weights",
        schedule=schedule if is_myonorms else "nnU-Net's own schedule",
        augmentation="nnU-Net's, but none that resamples"
        if is_myonorms and not profile["is_resampled"]
        else "nnU-Net's",
        mirroring="none, since sides are labels" if profile["trainer"] in WITHOUT_MIRRORING else "nnU-Net's own",
        patch=" x ".join(map(str, plan["patch_size"])),
        features=", ".join(map(str, plan["architecture"]["arch_kwargs"]["features_per_stage"])),
        versions=", ".join(f"{name} {number}" for name, number in versions.items()),
        test="Not yet tested on held-out cases." if test is None else f"Dice on {data.test}:\n\n{_list_scores(test)}",
        n_out_of_fold=out_of_fold["case"].nunique(),
        out_of_fold=_list_scores(out_of_fold),
        exchanged=max(frame["exchanged_side_pct"].max() for frame in frames),
    )


def _list_scores(scores: pd.DataFrame) -> str:
    summary = scores.groupby(["compartment", "side"], sort=False)["dice"].agg(["mean", "std", "min"])
    rows = [
        f"| {compartment} {side} | {row['mean']:.3f} +- {row['std']:.3f} | {row['min']:.3f} |".replace("nan", "-")
        for (compartment, side), row in summary.iterrows()
    ]
    return "\n".join(["| label | mean +- SD | lowest |", "|---|---|---|", *rows])
