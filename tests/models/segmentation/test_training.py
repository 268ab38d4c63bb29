"""Profiles, what they make of nnU-Net's trainer, and the weights a training starts from. The whole way: tests/pipeline/."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from nnunetv2.training.loss.compound_losses import DC_and_CE_loss
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from models.imaging.phantom import Grid, draw_person, render
from models.segmentation import training
from models.segmentation.card import HUMAN_LICENCE, DataDescription, describe_model
from models.segmentation.inference import InvalidModel, load_weights, open_model
from models.segmentation.training import AnnotatedCase

TINY = Grid((40, 32, 60), (11.0, 11.0, 16.0))


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


STUDY = training.load_profile("study")


@pytest.fixture
def workspace(tmp_path):
    """As if planned by the study's profile, on a small network."""
    ours = open_model("phantom-v1").folder
    folder = tmp_path / "preprocessed" / training.DATASET_NAME
    plans = json.loads((ours / "plans.json").read_text())
    (folder / plans["configurations"][training.CONFIGURATION]["data_identifier"]).mkdir(parents=True)
    (folder / plans["configurations"][training.CONFIGURATION]["data_identifier"] / "case.b2nd").touch()
    (folder / "nnUNetPlans.json").write_text(
        json.dumps(plans | {"dataset_name": training.DATASET_NAME, "training_profile": STUDY})
    )
    (folder / "dataset.json").write_bytes((ours / "dataset.json").read_bytes())
    return tmp_path


def open_trainer(workspace: Path, name: str):
    from nnunetv2.run.run_training import get_trainer_from_args

    training.point_nnunet_at(workspace)
    trainer = get_trainer_from_args(
        str(training.DATASET_ID), training.CONFIGURATION, 0, name, training.PLANS, True, torch.device("cpu")
    )
    trainer.initialize()
    return trainer


def test_study_profile_is_the_papers_training(workspace):
    """Kiefer et al. 2026, section 2.3; whatever it leaves out is as in nnU-Net's own trainer, but for the mirroring."""
    ours, nnunets = (open_trainer(workspace, name) for name in (STUDY["trainer"], "nnUNetTrainer"))
    assert (ours.num_epochs, ours.initial_lr, ours.num_input_channels, STUDY["folds"]) == (1000, 0.01, 4, 5)
    assert ours.configuration_name == "3d_fullres"
    assert isinstance(ours.optimizer, torch.optim.SGD) and isinstance(ours.lr_scheduler, PolyLRScheduler)
    assert ours.optimizer.defaults["nesterov"] and ours.optimizer.defaults["momentum"] == 0.99
    ours.lr_scheduler.step(500)
    assert ours.optimizer.param_groups[0]["lr"] == pytest.approx(0.01 * (1 - 500 / 1000) ** 0.9)
    assert isinstance(ours.loss.loss, DC_and_CE_loss)
    for name in ("weight_decay", "oversample_foreground_percent", "num_iterations_per_epoch", "save_every"):
        assert getattr(ours, name) == getattr(nnunets, name)
    assert ours.configuration_manager.patch_size == nnunets.configuration_manager.patch_size
    assert str(ours.network) == str(nnunets.network)
    axes = [t.configure_rotation_dummyDA_mirroring_and_inital_patch_size()[-1] for t in (ours, nnunets)]
    assert axes == [None, (0, 1, 2)] and ours.inference_allowed_mirroring_axes is None


def test_weights_of_a_model_are_the_first_ones_on_its_plan():
    """Also where the model knows other labels: then all but the last layers; another network is refused."""
    base = open_model("phantom-v1")
    plans = json.loads((open_model("phantom-v2").folder / "plans.json").read_text())
    training.shrink(plans["configurations"][training.CONFIGURATION], [16, 32, 40], 4, [8, 16])
    training.adopt_plan(plans, base)
    adopted = PlansManager(plans).get_configuration(training.CONFIGURATION)
    theirs = PlansManager(json.loads((base.folder / "plans.json").read_text())).get_configuration(base.configuration)
    for name in ("spacing", "patch_size", "normalization_schemes", "network_arch_init_kwargs"):
        assert getattr(adopted, name) == getattr(theirs, name)

    def build():
        return get_network_from_plans(
            adopted.network_arch_class_name, adopted.network_arch_init_kwargs,
            adopted.network_arch_init_kwargs_req_import, 4, 5, deep_supervision=True,
        )  # fmt: skip

    (weights,) = load_weights(base)
    network, other_labels = build(), build()
    training.load_first_weights(network, base)
    assert all(torch.equal(value, weights[name].float()) for name, value in network.state_dict().items())
    before = {name: value.clone() for name, value in other_labels.state_dict().items() if ".seg_layers." in name}
    training.load_first_weights(other_labels, replace(base, label_map=(0, 1, 2, 3, 4)))
    after = other_labels.state_dict()
    assert before and all(torch.equal(after[name], value) for name, value in before.items())
    assert all(torch.equal(after[name], weights[name].float()) for name in after if name not in before)
    adopted.network_arch_init_kwargs["features_per_stage"] = [8, 32, 64, 96]
    with pytest.raises(InvalidModel, match="another network"):
        training.load_first_weights(build(), base)


def test_half_done_preparation_leaves_no_workspace(tmp_path):
    def cases():
        yield AnnotatedCase("case", "person", *_render_tiny())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.prepare(cases(), tmp_path / "w", STUDY)
    assert not (tmp_path / "w").exists()


def test_card_of_a_model_of_people_gives_no_licence_and_says_what_mirrors():
    """The other facts: tests/pipeline/test_training_assets.py."""
    folder, data = open_model("phantom-v2").folder, DataDescription("people", "others", is_synthetic=False)
    card = describe_model(folder, "m", "3d_fullres", STUDY, data, {"torch": "2"})
    assert HUMAN_LICENCE in card and "Apache" not in card and "synthetic" not in card
    assert "mirroring: none" in card and "epochs 1000" in card and "Not yet tested" in card
    card = describe_model(folder, "m", "3d_fullres", STUDY | {"trainer": "nnUNetTrainer"}, data, {"torch": "2"})
    assert "mirroring: nnU-Net's own" in card and "nnU-Net's own schedule" in card and "1000" not in card


def test_all_cases_of_a_person_are_held_out_by_one_fold(tmp_path):
    persons = {f"case_{i}": f"person_{i % 7}" for i in range(10)}
    folder = tmp_path / "preprocessed" / training.DATASET_NAME
    folder.mkdir(parents=True)
    training.write_splits(persons, tmp_path)
    splits = json.loads((folder / "splits_final.json").read_text())
    assert sorted(name for split in splits for name in split["val"]) == sorted(persons) and len(splits) == 5
    for split in splits:
        assert sorted(split["train"] + split["val"]) == sorted(persons)
        assert not {persons[name] for name in split["train"]} & {persons[name] for name in split["val"]}


def _render_tiny():
    phantom = render(draw_person(np.random.default_rng(0), "0"), 0, TINY)
    return phantom.dixon, phantom.labels
