"""Annotated cases -> nnU-Net dataset -> plan -> training -> a model folder of the registry.

What belongs here: handing cases to nnU-Net's own fingerprint, planner, preprocessing, trainer and validation, and collecting
what it produced into an immutable model folder. Using a model is `inference.py`'s work, scoring it `evaluation.py`'s.

`python -m models.segmentation.training WORKSPACE MODEL_FOLDER` trains the phantom model, `make train-phantom` calls it.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from models.imaging.dixon import CONTRASTS, DixonSet
from models.imaging.phantom import Acquisition, draw_person, render
from models.segmentation.anatomy import LABELS
from models.segmentation.evaluation import exchanged_side_pct, score_labels
from models.segmentation.inference import Model, Segmenter, open_model

DATASET_ID = 701
DATASET_NAME = f"Dataset{DATASET_ID}_MyonormPhantom"
CONFIGURATION = "3d_fullres"
TRAINER = "nnUNetTrainerPhantom"
PLANS = "nnUNetPlans"

# The small plan: one patch spans the whole body sideways, so that left and right can be told apart.
PATCH_SIZE = (32, 88, 112)
BATCH_SIZE = 2
FEATURES = (16, 32, 64, 96)

TRAINING_SEEDS = range(10_000, 10_060)
TRAINING_BMI = (18.0, 38.0)
TEST_SEEDS = range(90_000, 90_010)
TEST_BMI = (16.0, 43.0)
TEST_ACQUISITION = Acquisition(noise=0.08, bias=0.40)


@dataclass(frozen=True)
class AnnotatedCase:
    """A case for training: contrasts and a label map (x, y, z; uint8) on the same RAS+ grid."""

    name: str
    dixon: DixonSet
    labels: np.ndarray


def draw_phantom_cases(seeds: Iterable[int] = TRAINING_SEEDS) -> Iterable[AnnotatedCase]:
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


def plan_and_preprocess(workspace: Path) -> None:
    """Run nnU-Net's fingerprint and planner, make the plan small, preprocess.

    Patch, batch and network become `PATCH_SIZE`, `BATCH_SIZE` and a plain U-Net of `FEATURES`; spacing, normalisation and
    resampling stay as nnU-Net planned them.
    """
    from nnunetv2.experiment_planning import plan_and_preprocess_api as api

    point_nnunet_at(workspace)
    api.extract_fingerprints([DATASET_ID], num_processes=2, check_dataset_integrity=True)
    api.plan_experiments([DATASET_ID])
    path = workspace / "preprocessed" / DATASET_NAME / f"{PLANS}.json"
    plans = json.loads(path.read_text())
    configuration = plans["configurations"][CONFIGURATION]
    configuration |= {"patch_size": list(PATCH_SIZE), "batch_size": BATCH_SIZE}
    n_stages = len(FEATURES)
    configuration["architecture"]["arch_kwargs"] |= {
        "n_stages": n_stages,
        "features_per_stage": list(FEATURES),
        "kernel_sizes": [[3, 3, 3]] * n_stages,
        "strides": [[1, 1, 1]] + [[2, 2, 2]] * (n_stages - 1),
        "n_conv_per_stage": [2] * n_stages,
        "n_conv_per_stage_decoder": [2] * (n_stages - 1),
    }
    path.write_text(json.dumps(plans, indent=2))
    api.preprocess([DATASET_ID], configurations=(CONFIGURATION,), num_processes=(2,))


def train_fold(workspace: Path, fold: int) -> None:
    """Train one fold and run nnU-Net's own validation on its held-out cases; continues from the last checkpoint."""
    import torch
    from nnunetv2.run.run_training import run_training

    point_nnunet_at(workspace)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    run_training(str(DATASET_ID), CONFIGURATION, fold, TRAINER, PLANS, continue_training=True, device=device)


def collect_model(workspace: Path, folds: Iterable[int], destination: Path) -> None:
    """Copy plans, dataset description and bare network weights of the folds, with a manifest of their sha256."""
    import torch

    destination.mkdir(parents=True, exist_ok=True)
    results = workspace / "results" / DATASET_NAME / f"{TRAINER}__{PLANS}__{CONFIGURATION}"
    for name in ("plans.json", "dataset.json"):
        (destination / name).write_bytes((results / name).read_bytes())
    for fold in folds:
        checkpoint = torch.load(
            results / f"fold_{fold}" / "checkpoint_final.pth", map_location="cpu", weights_only=False
        )
        torch.save(checkpoint["network_weights"], destination / f"fold_{fold}.pth")
    files = sorted(
        path for path in destination.iterdir() if path.suffix in (".json", ".pth") and path.name != "manifest.json"
    )
    manifest = {
        "model_version": destination.name,
        "configuration": CONFIGURATION,
        "sha256": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
    }
    (destination / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


def score_model(model: Model, cases: Iterable[AnnotatedCase]) -> pd.DataFrame:
    """Scores of a model on annotated cases: case, compartment, side, dice, exchanged_side_pct."""
    segmenter = Segmenter(model, "cpu")
    frames = []
    for case in cases:
        predicted = segmenter.segment(case.dixon)
        exchanged = exchanged_side_pct(predicted, case.labels)
        frames.append(score_labels(predicted, case.labels).assign(case=case.name, exchanged_side_pct=exchanged))
    return pd.concat(frames, ignore_index=True)


def write_card(destination: Path, scores: pd.DataFrame) -> None:
    """Write MODEL_CARD.md from the template beside this module, with the measured scores."""
    summary = scores.groupby(["compartment", "side"], sort=False)["dice"].agg(["mean", "min"])
    rows = [
        f"| {compartment} {side} | {row['mean']:.3f} | {row['min']:.3f} |"
        for (compartment, side), row in summary.iterrows()
    ]
    template = (Path(__file__).parent / "MODEL_CARD.template.md").read_text(encoding="utf-8")
    text = template.format(
        model_version=destination.name,
        scores="\n".join(rows),
        exchanged=scores["exchanged_side_pct"].max(),
        n_test=len(TEST_SEEDS),
        n_training=len(TRAINING_SEEDS),
        patch=" x ".join(map(str, PATCH_SIZE)),
        features=", ".join(map(str, FEATURES)),
    )
    (destination / "MODEL_CARD.md").write_text(text, encoding="utf-8")


def main() -> None:
    """Train the phantom model (25 synthetic cases, fold 0) and score it on fresh phantoms."""
    workspace, destination = map(Path, sys.argv[1:])
    if not (workspace / "preprocessed" / DATASET_NAME / f"nnUNetPlans_{CONFIGURATION}").is_dir():
        write_dataset(draw_phantom_cases(), workspace)
        plan_and_preprocess(workspace)
    train_fold(workspace, 0)
    collect_model(workspace, [0], destination)
    write_card(destination, score_model(open_model(str(destination)), draw_test_cases()))


if __name__ == "__main__":
    main()
