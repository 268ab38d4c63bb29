"""Annotated cases -> nnU-Net dataset -> plan -> five folds -> a model folder of the registry.

What belongs here: handing cases to nnU-Net's own fingerprint, planner, preprocessing, trainer and validation as a profile of
`profiles.toml` says, and collecting what it produced into an immutable model folder. Using a model is `inference.py`'s
work, scoring it `evaluation.py`'s.

`python -m models.segmentation.training PROFILE WORKSPACE MODEL_FOLDER` trains on phantoms, `make train-phantom` calls it.
"""

import hashlib
import json
import os
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import pandas as pd

from models.imaging.dixon import CONTRASTS, DixonSet
from models.imaging.phantom import Acquisition, draw_person, render
from models.segmentation.anatomy import LABELS
from models.segmentation.evaluation import exchanged_side_pct, score_labels
from models.segmentation.inference import Segmenter, load_weights, open_model

if TYPE_CHECKING:
    import torch

DATASET_ID = 701
DATASET_NAME = f"Dataset{DATASET_ID}_Myonorm"
CONFIGURATION = "3d_fullres"
PLANS = "nnUNetPlans"
PROFILES = Path(__file__).parent / "profiles.toml"

TRAINING_BMI = (18.0, 38.0)
TEST_SEEDS = range(90_000, 90_010)
TEST_BMI = (16.0, 43.0)
TEST_ACQUISITION = Acquisition(noise=0.08, bias=0.40)

PHANTOMS = "synthetic participants (`models/imaging/phantom.py`): BMI 18-38 kg/m2, noise 1-6 %, bias 5-30 %"
TEST_PHANTOMS = (
    "10 fresh phantoms of unseen seeds, noise 8 %, bias 40 %, BMI 16-43 kg/m2 (beyond the training range at both ends), by the"
    " model as deployed"
)
SYNTHETIC_USE = (
    "It was trained on **synthetic phantoms** and on no person, and must not be used on one: it exists so that the whole system"
    " can be run, tested and shown without restricted data."
)
HUMAN_USE = (
    "For research on images acquired like those it was trained on. Weights learned from people are not anonymous by"
    " themselves: share them as the study's data protection allows."
)


@dataclass(frozen=True)
class AnnotatedCase:
    """A case for training: contrasts and a label map (x, y, z; uint8) on the same RAS+ grid."""

    name: str
    dixon: DixonSet
    labels: np.ndarray


def draw_phantom_cases(seeds: Iterable[int]) -> Iterable[AnnotatedCase]:
    """Phantoms for training: BMI 18-38 kg/m2, noise SD 1-6 % and bias 5-30 % of the full signal."""
    for seed in seeds:
        rng = np.random.default_rng([seed, 7])
        person = draw_person(rng, f"{seed}", TRAINING_BMI)
        acquisition = Acquisition(noise=rng.uniform(0.01, 0.06), bias=rng.uniform(0.05, 0.30))
        phantom = render(person, seed, acquisition=acquisition)
        yield AnnotatedCase(f"phantom_{seed}", phantom.dixon, phantom.labels)


def draw_test_cases(seeds: Iterable[int] = TEST_SEEDS) -> Iterable[AnnotatedCase]:
    """Phantoms for the test: unseen seeds, BMI 16-43 kg/m2 evenly over the cases, noise and bias beyond the training's."""
    for seed, bmi in zip(seeds, np.linspace(*TEST_BMI, len(seeds)), strict=True):
        person = draw_person(np.random.default_rng([seed, 7]), f"{seed}", (bmi, bmi))
        phantom = render(person, seed, acquisition=TEST_ACQUISITION)
        yield AnnotatedCase(f"phantom_{seed}", phantom.dixon, phantom.labels)


def write_dataset(cases: Iterable[AnnotatedCase], workspace: Path) -> None:
    """Write cases as nnU-Net's raw dataset: one NIfTI a contrast (channel order `CONTRASTS`) and one label map each."""
    folder = workspace / "raw" / DATASET_NAME
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    n_cases = 0
    for n_cases, case in enumerate(cases, start=1):
        for channel, contrast in enumerate(CONTRASTS):
            image = nib.Nifti1Image(case.dixon.volumes[contrast].astype(np.float32), case.dixon.affine)
            nib.save(image, folder / "imagesTr" / f"{case.name}_{channel:04d}.nii.gz")
        nib.save(nib.Nifti1Image(case.labels, case.dixon.affine), folder / "labelsTr" / f"{case.name}.nii.gz")
    dataset = {
        "channel_names": {str(channel): contrast for channel, contrast in enumerate(CONTRASTS)},
        "labels": {"background": 0} | {f"{compartment}_{side}": value for (compartment, side), value in LABELS.items()},
        "numTraining": n_cases,
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(dataset, indent=2))


def point_nnunet_at(workspace: Path) -> None:
    """Set nnU-Net's folders and our trainer's folder in the environment."""
    for name in ("raw", "preprocessed", "results"):
        os.environ[f"nnUNet_{name}"] = str(workspace / name)
    os.environ["nnUNet_extTrainer"] = str(Path(__file__).parent / "trainer")
    os.environ.setdefault("nnUNet_n_proc_DA", "1")


def load_profile(name: str) -> dict[str, Any]:
    """A training profile, as `profiles.toml` describes them.

    Raises
    ------
    ValueError
        If there is none of that name; the message lists those there are.
    """
    profiles = tomllib.loads(PROFILES.read_text(encoding="utf-8"))
    if name not in profiles:
        raise ValueError(f"There is no training profile {name}: name one of {', '.join(profiles)}.")
    return {"name": name, **profiles[name]}


def plan_and_preprocess(workspace: Path, profile: dict[str, Any]) -> None:
    """Run nnU-Net's fingerprint and planner, apply the profile's plan, preprocess.

    Spacing, normalisation and resampling stay as nnU-Net planned them. The profile itself travels in the plans, where the
    trainer and later readers of the model find it.
    """
    from nnunetv2.experiment_planning import plan_and_preprocess_api as api

    point_nnunet_at(workspace)
    api.extract_fingerprints([DATASET_ID], num_processes=2, check_dataset_integrity=True)
    api.plan_experiments([DATASET_ID])
    path = workspace / "preprocessed" / DATASET_NAME / f"{PLANS}.json"
    plans = json.loads(path.read_text())
    plans["training_profile"] = profile
    if "plan" in profile:
        _shrink(plans["configurations"][CONFIGURATION], **profile["plan"])
    path.write_text(json.dumps(plans, indent=2))
    api.preprocess([DATASET_ID], configurations=(CONFIGURATION,), num_processes=(2,))


def _shrink(
    configuration: dict[str, Any], patch_size: list[int], batch_size: int, features_per_stage: list[int]
) -> None:
    """Replace patch, batch and network by a plain U-Net of as many stages as there are features."""
    configuration |= {"patch_size": patch_size, "batch_size": batch_size}
    n_stages = len(features_per_stage)
    configuration["architecture"]["arch_kwargs"] |= {
        "n_stages": n_stages,
        "features_per_stage": features_per_stage,
        "kernel_sizes": [[3, 3, 3]] * n_stages,
        "strides": [[1, 1, 1]] + [[2, 2, 2]] * (n_stages - 1),
        "n_conv_per_stage": [2] * n_stages,
        "n_conv_per_stage_decoder": [2] * (n_stages - 1),
    }


def train_fold(workspace: Path, profile: dict[str, Any], fold: int) -> None:
    """Train one fold and run nnU-Net's own validation on its held-out cases; continues from the last checkpoint.

    Raises
    ------
    InvalidModel
        If the profile starts from a model that is not there or not what its manifest says.
    """
    import torch
    from nnunetv2.run.run_training import get_trainer_from_args, maybe_load_checkpoint

    point_nnunet_at(workspace)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    trainer = get_trainer_from_args(
        str(DATASET_ID), CONFIGURATION, fold, profile["trainer"], PLANS, continue_training=True, device=device
    )
    output = Path(trainer.output_folder)
    if (output / "validation" / "summary.json").is_file():
        return
    has_checkpoint = any(output.glob("checkpoint_*.pth"))
    if "start_from" in profile and not has_checkpoint:
        trainer.initialize()
        trainer.network.load_state_dict(load_weights(open_model(profile["start_from"]))[0])
    maybe_load_checkpoint(trainer, continue_training=has_checkpoint, validation_only=False)
    trainer.run_training()
    trainer.perform_actual_validation()


def read_profile(workspace: Path) -> dict[str, Any]:
    """The profile that the workspace was planned with."""
    plans = workspace / "preprocessed" / DATASET_NAME / f"{PLANS}.json"
    return json.loads(plans.read_text())["training_profile"]


def score_out_of_fold(workspace: Path, profile: dict[str, Any], folds: Iterable[int]) -> pd.DataFrame:
    """Scores of each training case by the one fold that did not see it, from nnU-Net's own validation.

    Returns
    -------
    DataFrame
        As `score_labels`, with case, fold and exchanged_side_pct.
    """
    truth = workspace / "raw" / DATASET_NAME / "labelsTr"
    frames = []
    for fold in folds:
        for path in sorted((_results(workspace, profile) / f"fold_{fold}" / "validation").glob("*.nii.gz")):
            predicted, labels = (np.asarray(nib.load(p).dataobj, np.uint8) for p in (path, truth / path.name))
            scores = score_labels(predicted, labels)
            scores.insert(0, "case", path.name.removesuffix(".nii.gz"))
            frames.append(scores.assign(fold=fold, exchanged_side_pct=exchanged_side_pct(predicted, labels)))
    return pd.concat(frames, ignore_index=True)


def collect_model(workspace: Path, profile: dict[str, Any], destination: Path) -> None:
    """Build a model folder: plans, dataset description, weights of all folds in half precision, splits, scores, manifest.

    Weights are bare (no optimizer state). `splits.json` names each fold's held-out cases, `out_of_fold.csv` holds
    `score_out_of_fold`; the manifest holds the sha256 of every file and the versions it was trained with.

    Raises
    ------
    FileExistsError
        If there is such a model already.
    """
    import torch

    if (destination / "manifest.json").exists():
        raise FileExistsError(f"Models are immutable and there is a {destination.name} already: name a new version.")
    destination.mkdir(parents=True, exist_ok=True)
    results = _results(workspace, profile)
    for name in ("plans.json", "dataset.json"):
        (destination / name).write_bytes((results / name).read_bytes())
    for fold in range(profile["folds"]):
        checkpoint = torch.load(
            results / f"fold_{fold}" / "checkpoint_final.pth", map_location="cpu", weights_only=False
        )
        torch.save(halve(checkpoint["network_weights"]), destination / f"fold_{fold}.pth")
    splits = json.loads((workspace / "preprocessed" / DATASET_NAME / "splits_final.json").read_text())
    held_out = [{"fold": fold, "validation": split["val"]} for fold, split in enumerate(splits[: profile["folds"]])]
    (destination / "splits.json").write_text(json.dumps(held_out, indent=1) + "\n")
    scores = score_out_of_fold(workspace, profile, range(profile["folds"]))
    scores.round(6).to_csv(destination / "out_of_fold.csv", index=False)
    write_manifest(destination)


def halve(weights: dict[str, "torch.Tensor"]) -> dict[str, "torch.Tensor"]:
    """Weights in half precision; names that share a tensor (nnU-Net's decoder names the encoder's too) go on sharing it."""
    halves = {tensor.data_ptr(): tensor.half() for tensor in weights.values()}
    return {name: halves[tensor.data_ptr()] for name, tensor in weights.items()}


def write_manifest(folder: Path) -> None:
    """Write manifest.json: version (the folder's name), configuration, library versions, sha256 of every file but the card."""
    files = sorted(path for path in folder.iterdir() if path.name not in ("manifest.json", "MODEL_CARD.md"))
    manifest = {
        "model_version": folder.name,
        "configuration": CONFIGURATION,
        "trained_with": {name: version(name) for name in ("nnunetv2", "torch")},
        "sha256": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


def _results(workspace: Path, profile: dict[str, Any]) -> Path:
    return workspace / "results" / DATASET_NAME / f"{profile['trainer']}__{PLANS}__{CONFIGURATION}"


def score_model(segmenter: Segmenter, cases: Iterable[AnnotatedCase]) -> pd.DataFrame:
    """Scores of a loaded model on annotated cases: as `score_labels`, with case and exchanged_side_pct."""
    frames = []
    for case in cases:
        predicted = segmenter.segment(case.dixon)
        exchanged = exchanged_side_pct(predicted, case.labels)
        frames.append(score_labels(predicted, case.labels).assign(case=case.name, exchanged_side_pct=exchanged))
    return pd.concat(frames, ignore_index=True)


def write_card(
    destination: Path, profile: dict[str, Any], training_data: str, test: tuple[str, pd.DataFrame] | None = None
) -> None:
    """Write MODEL_CARD.md from the template beside this module.

    Parameters
    ----------
    destination
        A model folder; its out-of-fold scores go into the card.
    profile
        What it was trained by.
    training_data
        What the cases are, for the card.
    test
        What the held-out cases are, and their `score_model`; None: not tested yet.
    """
    out_of_fold = pd.read_csv(destination / "out_of_fold.csv")
    plan = json.loads((destination / "plans.json").read_text())["configurations"][CONFIGURATION]
    frames = [out_of_fold] if test is None else [out_of_fold, test[1]]
    template = (Path(__file__).parent / "MODEL_CARD.template.md").read_text(encoding="utf-8")
    text = template.format(
        model_version=destination.name,
        use=SYNTHETIC_USE if "phantom_seeds" in profile else HUMAN_USE,
        profile=profile["name"],
        training_data=training_data,
        n_out_of_fold=out_of_fold["case"].nunique(),
        n_folds=profile["folds"],
        start=f"from the weights of {profile['start_from']}" if "start_from" in profile else "from random weights",
        epochs=profile["epochs"],
        iterations=profile["iterations_per_epoch"],
        initial_lr=profile["initial_lr"],
        augmentation="nnU-Net's" if profile["is_resampled"] else "nnU-Net's, but none that resamples",
        mirroring="nnU-Net's own" if profile["trainer"] == "nnUNetTrainer" else "none, since sides are labels",
        patch=" x ".join(map(str, plan["patch_size"])),
        features=", ".join(map(str, plan["architecture"]["arch_kwargs"]["features_per_stage"])),
        test=f"Dice on {test[0]}:\n\n{_list_scores(test[1])}" if test else "Not yet tested on held-out cases.",
        out_of_fold=_list_scores(out_of_fold),
        exchanged=max(frame["exchanged_side_pct"].max() for frame in frames),
    )
    (destination / "MODEL_CARD.md").write_text(text, encoding="utf-8")


def _list_scores(scores: pd.DataFrame) -> str:
    summary = scores.groupby(["compartment", "side"], sort=False)["dice"].agg(["mean", "std", "min"])
    rows = [
        f"| {compartment} {side} | {row['mean']:.3f} +- {row['std']:.3f} | {row['min']:.3f} |"
        for (compartment, side), row in summary.iterrows()
    ]
    return "\n".join(["| label | mean +- SD | lowest |", "|---|---|---|", *rows])


def main() -> None:
    """Train a profile on its phantoms and score the model on fresh ones; continues where it was stopped."""
    profile, workspace, destination = load_profile(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    if not (workspace / "preprocessed" / DATASET_NAME / f"{PLANS}_{CONFIGURATION}").is_dir():
        write_dataset(draw_phantom_cases(range(*profile["phantom_seeds"])), workspace)
        plan_and_preprocess(workspace, profile)
    for fold in range(profile["folds"]):
        train_fold(workspace, profile, fold)
    collect_model(workspace, profile, destination)
    write_card(destination, profile, PHANTOMS)
    write_card(
        destination,
        profile,
        PHANTOMS,
        (TEST_PHANTOMS, score_model(Segmenter(open_model(str(destination)), "cpu"), draw_test_cases())),
    )


if __name__ == "__main__":
    main()
