"""The cohort run beside `nnUNetv2_predict`: eight phantoms, the same weights and tile step, no mirroring on either side, CPU.

Both get verified files and write masks. `total` is wall time of a fresh process to the last mask; `per_case` leaves the start out: for
both, the time for eight cases less the time for two, over six. Dice is between the two outputs, and of both against the truth.
Prints three figures, `inference_vs_nnunet_total` last.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np

from dagster_project.case_work import ImageCase, probe_precision, segment
from dagster_project.engine import open_engine
from dagster_project.settings import Settings
from models.imaging.dixon import CONTRASTS
from models.imaging.nifti import combined_sha256, read_volume, write_volume
from models.imaging.phantom import REDUCED_GRID, Grid, Phantom, draw_person, render
from models.segmentation.evaluation import score_labels
from models.segmentation.inference import Model, open_model

N_CASES, N_FEW = 8, 2
FIRST_SEED = 71_000
TRAINER, PLANS = "nnUNetTrainer", "nnUNetPlans"
MIN_BASE_FEATURES = 16


def draw_phantom(seed: int, grid: Grid = REDUCED_GRID) -> Phantom:
    """The phantom of a seed."""
    return render(draw_person(np.random.default_rng([seed, 7]), str(seed)), seed, grid)


def store_case(home: Path, name: str, phantom: Phantom, model: str) -> ImageCase:
    """Write a phantom as intake does."""
    case = ImageCase(home, "synthetic", name, "30", "", 0, model, "cpu")
    (home / case.folder).mkdir(parents=True)
    dixon = phantom.dixon
    hashes = {
        contrast: write_volume(home / case.folder / f"{contrast}.nii.gz", dixon.volumes[contrast], dixon.affine, {})
        for contrast in CONTRASTS
    }
    return ImageCase(home, "synthetic", name, "30", combined_sha256(hashes), 0, model, "cpu")


def write_nnunet_input(folder: Path, name: str, phantom: Phantom) -> None:
    """Write a phantom as nnU-Net wants it."""
    folder.mkdir(parents=True, exist_ok=True)
    for channel, contrast in enumerate(CONTRASTS):
        image = nib.Nifti1Image(phantom.dixon.volumes[contrast], phantom.dixon.affine)
        nib.save(image, folder / f"{name}_{channel:04d}.nii.gz")


def lay_out_for_nnunet(model: Model, results: Path) -> list[str]:
    """Build nnU-Net's results folder from a registered model; returns the options that choose it."""
    import torch

    plans = json.loads((model.folder / "plans.json").read_text())
    folder = results / plans["dataset_name"] / f"{TRAINER}__{PLANS}__{model.configuration}"
    folder.mkdir(parents=True)
    for name in ("plans.json", "dataset.json"):
        shutil.copy(model.folder / name, folder)
    folds = []
    for name in model.fold_files:
        fold = name.removeprefix("fold_").removesuffix(".pth")
        (folder / f"fold_{fold}").mkdir()
        weights = {key: value.float() for key, value in torch.load(model.folder / name, weights_only=True).items()}
        checkpoint = {
            "network_weights": weights,
            "trainer_name": TRAINER,
            "init_args": {"configuration": model.configuration},
            "inference_allowed_mirroring_axes": None,
        }
        torch.save(checkpoint, folder / f"fold_{fold}" / "checkpoint_final.pth")
        folds.append(fold)
    return ["-d", plans["dataset_name"], "-tr", TRAINER, "-p", PLANS, "-c", model.configuration, "-f", *folds]


def run_nnunet(options: list[str], results: Path, source: Path, destination: Path) -> float:
    """Seconds of `nnUNetv2_predict` on a folder, as a command."""
    command = [Path(sys.executable).with_name("nnUNetv2_predict"), "-i", source, "-o", destination, *options]
    environment = {f"nnUNet_{name}": str(results) for name in ("raw", "preprocessed", "results")}
    began = time.perf_counter()
    subprocess.run(
        [*command, "--disable_tta", "-device", "cpu"],
        check=True,
        capture_output=True,
        env={**os.environ, **environment},
    )
    return time.perf_counter() - began


def run_ours(home: Path, n: int) -> float:
    """Seconds of this project's run on the first n stored cases, as a process of its own."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", __spec__.name, "--worker", home, str(n)], check=True)
    return time.perf_counter() - began


def segment_stored(home: Path, n: int) -> None:
    """What the cohort run does with cases: probe the precision, then segment, one network a core at a time."""
    rows = json.loads((home / "cases.json").read_text())[:n]
    cases = [ImageCase(home, *row) for row in rows]
    engine = open_engine(Settings(), takes_turns=True)
    (probe,) = engine.run(probe_precision, cases[:1], 600)
    cases = [ImageCase(home, *row, precision=probe.result) for row in rows]
    failed = [outcome.message for outcome in engine.run(segment, cases, 600) if outcome.code]
    if failed:
        raise SystemExit(failed[0])


def score(masks: list[np.ndarray], references: list[np.ndarray]) -> np.ndarray:
    """Dice (case, label)."""
    return np.array([score_labels(mask, other)["dice"] for mask, other in zip(masks, references, strict=True)])


def main() -> None:
    """Print the three figures."""
    model = open_model(Settings().model)
    plans = json.loads((model.folder / "plans.json").read_text())
    features = plans["configurations"][model.configuration]["architecture"]["arch_kwargs"]["features_per_stage"]
    if features[0] < MIN_BASE_FEATURES:
        raise SystemExit("The comparison asks for at least 16 base features.")
    phantoms = [draw_phantom(FIRST_SEED + i) for i in range(N_CASES)]
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        names = [f"phantom{i}" for i in range(N_CASES)]
        home = scratch / "home"
        cases = [
            store_case(home, name, phantom, str(model.folder)) for name, phantom in zip(names, phantoms, strict=True)
        ]
        rows = [[c.study, c.participant_id, c.visit, c.image_sha256, c.attempts, c.model, c.device] for c in cases]
        (home / "cases.json").write_text(json.dumps(rows))
        for n in (N_CASES, N_FEW):
            for name, phantom in zip(names[:n], phantoms[:n], strict=True):
                write_nnunet_input(scratch / f"in{n}", name, phantom)
        options = lay_out_for_nnunet(model, scratch / "results")
        seconds = {
            n: (
                run_ours(home, n),
                run_nnunet(options, scratch / "results", scratch / f"in{n}", scratch / f"out{n}"),
            )
            for n in (N_FEW, N_CASES)
        }
        ours = [read_volume(home / case.folder / f"{model.model_version}_dseg.nii.gz")[0] for case in cases]
        theirs = [np.asarray(nib.load(scratch / f"out{N_CASES}" / f"{name}.nii.gz").dataobj) for name in names]
    truth = [phantom.labels for phantom in phantoms]
    agreement, our_dice, their_dice = score(ours, theirs), score(ours, truth), score(theirs, truth)
    loss = (their_dice.mean(axis=0) - our_dice.mean(axis=0)).max()
    print(f"seconds (ours, nnU-Net): {seconds}; largest loss of mean Dice against the truth: {loss:.4f}")
    per_case = [(seconds[N_CASES][i] - seconds[N_FEW][i]) / (N_CASES - N_FEW) for i in range(2)]
    dice = {"value": round(float(agreement.min()), 4), "unit": "1", "mean": round(float(agreement.mean()), 4)}
    print(json.dumps({"figure": "inference_dice_to_nnunet", **dice, "loss_to_truth": round(float(loss), 4)}))
    for figure, (value, peer_value) in {
        "inference_vs_nnunet_per_case": per_case,
        "inference_vs_nnunet_total": seconds[N_CASES],
    }.items():
        result = {"figure": figure, "value": round(value, 2), "unit": "s", "peer": "nnUNetv2_predict"}
        print(json.dumps({**result, "peer_value": round(peer_value, 2), "ratio": round(value / peer_value, 3)}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        segment_stored(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
