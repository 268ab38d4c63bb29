"""Training through nnU-Net on a few tiny phantoms: profiles, five folds' split, resumption after a kill, the collected model."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from models.imaging.phantom import Grid, draw_person, render
from models.segmentation import training
from models.segmentation.inference import load_weights, open_model
from models.segmentation.training import AnnotatedCase

ROOT = Path(__file__).parents[3]
TINY = Grid((40, 32, 60), (11.0, 11.0, 16.0))
PROFILE = training.load_profile("phantom") | {
    "name": "tiny",
    "epochs": 6,
    "iterations_per_epoch": 2,
    "validation_iterations_per_epoch": 1,
    "epochs_per_checkpoint": 1,
    "folds": 1,
    "plan": {"patch_size": [16, 32, 40], "batch_size": 2, "features_per_stage": [16, 32, 64, 96]},
}
TRAIN = "import json, sys; from pathlib import Path; from models.segmentation.training import train_fold; "
TRAIN += "train_fold(Path(sys.argv[1]), json.loads(sys.argv[2]), 0)"


def test_every_profile_says_what_the_trainer_needs():
    study = training.load_profile("study")
    assert (study["epochs"], study["iterations_per_epoch"], study["initial_lr"], study["folds"]) == (1000, 250, 0.01, 5)
    assert "plan" not in study and "start_from" not in study
    assert training.load_profile("phantom").keys() >= study.keys()
    with pytest.raises(ValueError, match="phantom-base"):
        training.load_profile("phantoms")


def test_no_seed_of_the_phantoms_is_used_twice():
    ranges = [range(*training.load_profile(name)["phantom_seeds"]) for name in ("phantom-base", "phantom")]
    seeds = [seed for seeds in [*ranges, training.TEST_SEEDS] for seed in seeds]
    assert len(seeds) == len(set(seeds))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    training.write_dataset(map(draw_tiny_case, range(10)), folder)
    training.plan_and_preprocess(folder, PROFILE)
    return folder


def draw_tiny_case(seed: int) -> AnnotatedCase:
    phantom = render(draw_person(np.random.default_rng(seed), f"{seed}"), seed, TINY)
    return AnnotatedCase(f"case_{seed}", phantom.dixon, phantom.labels)


def start_training(workspace: Path) -> subprocess.Popen:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", TRAIN, str(workspace), json.dumps(PROFILE)]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip


def test_training_goes_on_after_a_kill_and_becomes_a_model(workspace, tmp_path):
    output = workspace / "results" / training.DATASET_NAME / "nnUNetTrainerMyonorm__nnUNetPlans__3d_fullres" / "fold_0"
    killed = start_training(workspace)
    while not (output / "checkpoint_latest.pth").is_file() and killed.poll() is None:
        time.sleep(0.05)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    done = torch.load(output / "checkpoint_latest.pth", weights_only=False)["current_epoch"]
    assert 1 <= done < PROFILE["epochs"]

    resumed = start_training(workspace)
    log, _ = resumed.communicate()
    assert resumed.returncode == 0, log[-2000:]
    epochs = [int(epoch) for epoch in re.findall(r"Epoch (\d+) *\n", log)]
    assert epochs == list(range(done, PROFILE["epochs"]))

    folder = tmp_path / "tiny-v1"
    training.collect_model(workspace, PROFILE, folder)
    (folder / "MODEL_CARD.md").write_text("A test's model.")
    model = open_model(str(folder))
    assert model.fold_files == ("fold_0.pth",)
    (weights,) = load_weights(model)
    assert {tensor.dtype for tensor in weights.values()} == {torch.float16}
    distinct = {tensor.data_ptr(): tensor.nbytes for tensor in weights.values()}
    assert len(distinct) < len(weights), "the decoder's names of the encoder's weights share them"
    assert (folder / "fold_0.pth").stat().st_size < sum(distinct.values()) + 200_000
    (held_out,) = json.loads((folder / "splits.json").read_text())
    scores = pd.read_csv(folder / "out_of_fold.csv")
    assert set(scores["case"]) == set(held_out["validation"]) and len(scores) == 4 * 2
    summary = json.loads((output / "validation" / "summary.json").read_text())
    nnunet = {
        (Path(case["reference_file"]).name.removesuffix(".nii.gz"), label): metrics["Dice"]
        for case in summary["metric_per_case"]
        for label, metrics in enumerate(case["metrics"].values(), start=1)
    }
    ours = {(row.case, i % 4 + 1): row.dice for i, row in enumerate(scores.itertuples())}
    assert ours == pytest.approx(nnunet, abs=1e-6, nan_ok=True)
    with pytest.raises(FileExistsError, match="immutable"):
        training.collect_model(workspace, PROFILE, folder)
