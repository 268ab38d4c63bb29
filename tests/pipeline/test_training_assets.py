"""From annotated cases to a model that segments: through the assets, on tiny phantoms and a miniature profile."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest
import torch

from dagster_project.defs.training import Training, training_dataset
from dagster_project.defs.validation import agreement
from dagster_project.promote import promote
from dagster_project.settings import load_settings
from dagster_project.train import train
from dagster_project.warehouse import Warehouse
from models.imaging.demo import draw_demo_1, write_release
from models.segmentation import training
from models.segmentation.inference import load_weights, open_model
from tests.pipeline.assets import COARSE, Assets, environment

pytestmark = pytest.mark.training

ROOT = Path(__file__).parents[2]
WHO = ("100001", "100002", "100003", "100004", "100005", "100006")
HELD_OUT = "100006"
PROFILES = """
[tiny]
trainer = "nnUNetTrainerMyonorm"
epochs = 1
iterations_per_epoch = 1
validation_iterations_per_epoch = 1
initial_lr = 0.00001
foreground_share = 1.0
epochs_per_checkpoint = 1
is_resampled = false
folds = 2
start_from = "phantom-v1"

[slow]
trainer = "nnUNetTrainerMyonorm"
epochs = 6
iterations_per_epoch = 2
validation_iterations_per_epoch = 1
initial_lr = 0.01
foreground_share = 1.0
epochs_per_checkpoint = 1
is_resampled = false
folds = 1
plan = { patch_size = [16, 32, 40], batch_size = 2, features_per_stage = [16, 32, 64, 96] }
"""
TRAIN = """
import sys
from pathlib import Path
from models.segmentation import training
training.PROFILES = Path(sys.argv[1])
from dagster_project.train import Training, train
train(Training(model_version="slow-1", profile="slow", study="synthetic"))
"""


@pytest.fixture(scope="module")
def assets(tmp_path_factory):
    """After intake of six annotated participants, the sixth held out, each read twice."""
    root = tmp_path_factory.mktemp("training")
    (root / "profiles.toml").write_text(PROFILES)
    with environment(HOME=root / "home", DEVICE="cpu"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "PROFILES", root / "profiles.toml")
        assets = Assets(root / "home")
        write_release(assets.home / "releases" / "r", draw_demo_1()[:6], grid=COARSE, annotated=WHO)
        table = assets.home / "releases" / "r" / "annotations.csv"
        table.write_text(re.sub(rf"^(?!{HELD_OUT})(\d.*),test,", r"\1,train,", table.read_text(), flags=re.MULTILINE))
        assets.take_in("r")
        yield assets


@pytest.fixture(scope="module")
def model(assets):
    """The model that `make train` made of them."""
    train(Training(model_version="tiny-1", profile="tiny", study="synthetic"))
    return open_model(load_settings().find_model("tiny-1"))


def test_model_is_registered_whole_and_names_nobody(assets, model):
    assert model.folder == assets.home / "models" / "tiny-1" and model.fold_files == ("fold_0.pth", "fold_1.pth")
    assert assets.query("SELECT model_version, n_folds, manifest_sha256, is_current FROM meta.model") == [
        ("tiny-1", 2, model.manifest_sha256, False)
    ]
    for weights in load_weights(model):
        assert {tensor.dtype for tensor in weights.values()} == {torch.float16}
        distinct = {tensor.data_ptr(): tensor.nbytes for tensor in weights.values()}
        assert len(distinct) < len(weights), "the decoder's names of the encoder's weights share them"
    assert (model.folder / "fold_0.pth").stat().st_size < sum(distinct.values()) + 200_000
    files = [path for folder in ("models", "training") for path in (assets.home / folder).rglob("*") if path.is_file()]
    assert not any(who in path.name for path in files for who in WHO)
    assert not any(
        who.encode() in path.read_bytes() for path in files for who in WHO if path.suffix in (".json", ".csv")
    )
    for fact in ("5 annotated cases of study synthetic", "profile `tiny`", "weights of phantom-v1", "mirroring: none"):
        assert fact in model.card
    assert "must not be used on" in model.card, "synthetic cases are nobody"
    assert "1 held-out annotated cases" in model.card and f"torch {torch.__version__.split('+')[0]}" in model.card


def test_out_of_fold_scores_are_nnunets_own(assets, model):
    scores = pd.read_csv(model.folder / "out_of_fold.csv")
    held_out = {
        name: split["fold"]
        for split in json.loads((model.folder / "splits.json").read_text())
        for name in split["validation"]
    }
    assert dict(zip(scores["case"], scores["fold"], strict=True)) == held_out and len(held_out) == 2
    results = assets.home / "training" / "tiny-1" / "results" / training.DATASET_NAME
    nnunet = {}
    for path in results.glob("*/fold_?/validation/summary.json"):
        for case in json.loads(path.read_text())["metric_per_case"]:
            name = Path(case["reference_file"]).name.removesuffix(".nii.gz")
            nnunet |= {(name, int(label)): metrics["Dice"] for label, metrics in case["metrics"].items()}
    ours = {(row.case, i % 4 + 1): row.dice for i, row in enumerate(scores.itertuples())}
    assert ours == pytest.approx(nnunet, abs=1e-6, nan_ok=True) and len(ours) == 8


def test_model_segments_and_is_validated_and_promoted_by_its_name(assets, model):
    with environment(MODEL="tiny-1"):
        assets.segment("r")
        assert assets.validate(agreement)["failed"] == 0
        (precision,) = assets.query(
            "SELECT DISTINCT precision FROM imaging.segmentation WHERE model_version = 'tiny-1'"
        )
        scores = assets.query(
            "SELECT participant_id, validation, min(dice) FROM imaging.segmentation_score"
            " WHERE model_version = 'tiny-1' GROUP BY ALL ORDER BY ALL"
        )
    assert [validation for _, validation, _ in scores].count("out_of_fold") == 2
    assert [row[:2] for row in scores if row[1] == "test"] == [(HELD_OUT, "test")]
    assert min(dice for *_, dice in scores) > 0.7
    for path in assets.home.rglob("tiny-1_fold-?_dseg.json"):
        assert json.loads(path.read_text())["precision"] == precision[0]
    pairs = dict(assets.query("SELECT validation, count(*) FROM imaging.agreement_pair GROUP BY ALL"))
    assert pairs == {"out_of_fold": 12, "test": 6}
    assert promote("tiny-1", despite_scores=True) == "tiny-1"
    assert [line["model"] for line in load_settings().read_promotions()] == ["tiny-1"]


def test_what_cannot_be_trained_is_refused_with_what_to_do(assets, model):
    for settings, message in (
        ({"model_version": "tiny-1"}, "dataset of tiny-1 already"),
        ({"model_version": "other", "profile": "none"}, "no training profile none"),
        ({"model_version": "other", "study": "cohort"}, "cases of 0 persons.*Annotate more"),
        ({"model_version": "../evil"}, "name another"),
        ({"model_version": ""}, "name another"),
        ({"model_version": "a b"}, "name another"),
        ({"model_version": "x" * 65}, "name another"),
    ):
        config = dg.RunConfig(
            ops={training_dataset.op.name: Training(**({"profile": "tiny", "study": "synthetic"} | settings))}
        )
        with pytest.raises(dg.Failure) as failure:
            dg.materialize(
                [training_dataset], instance=assets.instance, run_config=config, resources={"warehouse": Warehouse()}
            )
        assert re.search(message, failure.value.description)
    with pytest.raises(dg.Failure) as failure:
        train(Training(model_version="tiny-1", profile="tiny", study="synthetic"))
    assert "immutable" in failure.value.description
    assert not (assets.home / "training" / "other").exists()


@pytest.mark.faults
def test_training_goes_on_after_a_kill(assets):
    def start() -> subprocess.Popen:
        command = [sys.executable, "-c", TRAIN, str(assets.home.parent / "profiles.toml")]
        return subprocess.Popen(
            command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

    def checkpoints() -> list[Path]:
        return list((assets.home / "training" / "slow-1").rglob("checkpoint_latest.pth"))

    killed = start()
    while not checkpoints() and killed.poll() is None:
        time.sleep(0.05)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    done = torch.load(checkpoints()[0], weights_only=False)["current_epoch"]
    assert 1 <= done < 6 and not (assets.home / "models" / "slow-1").exists()
    resumed = start()
    log, _ = resumed.communicate()
    assert resumed.returncode == 0, log[-2000:]
    assert [int(epoch) for epoch in re.findall(r"Epoch (\d+) *\n", log)] == list(range(done, 6))
    assert np.isfinite(
        pd.read_csv(open_model(load_settings().find_model("slow-1")).folder / "out_of_fold.csv")["dice"]
    ).any()
