"""Annotated cases -> nnU-Net dataset -> plan -> five folds -> a model folder of the registry.

What belongs here: handing cases to nnU-Net's own fingerprint, planner, preprocessing, trainer and validation as a profile of
`profiles.toml` says, and collecting what it produced into an immutable model folder with its card. Using a model is
`inference.py`'s work, scoring it `evaluation.py`'s, describing it `card.py`'s, what every model folder is `registry.py`'s.

`python -m models.segmentation.training PROFILE WORKSPACE MODEL_FOLDER` trains on phantoms, `make train-phantom` calls it.
"""

import json
import os
import shutil
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import pandas as pd

from models.imaging.dixon import CONTRASTS, DixonSet
from models.imaging.phantom import Acquisition, draw_person, render
from models.segmentation.anatomy import LABELS
from models.segmentation.card import DataDescription, describe_model
from models.segmentation.evaluation import exchanged_side_pct, score_case
from models.segmentation.inference import (
    InvalidModel,
    Model,
    Segmenter,
    choose_device,
    choose_precision,
    load_weights,
    open_model,
)
from models.segmentation.registry import build_folder, read_checkpoint, write_json, write_manifest

if TYPE_CHECKING:
    import torch

DATASET_ID = 701
DATASET_NAME = f"Dataset{DATASET_ID}_Myonorm"
CONFIGURATION = "3d_fullres"
PLANS = "nnUNetPlans"
MOST_AUGMENTERS = 12  # processes that augment patches; nnU-Net's own choice beside a GPU
PROFILES = Path(__file__).parent / "profiles.toml"

TRAINING_BMI = (18.0, 38.0)
TEST_SEEDS = range(90_000, 90_010)
TEST_BMI = (16.0, 43.0)
TEST_ACQUISITION = Acquisition(noise=0.08, bias=0.40)


@dataclass(frozen=True)
class AnnotatedCase:
    """A case for training: contrasts and a label map (x, y, z; uint8) on the same RAS+ grid; whose it is."""

    name: str
    person: str
    dixon: DixonSet
    labels: np.ndarray


PHANTOMS = DataDescription(
    training="synthetic participants (`models/imaging/phantom.py`): BMI 18-38 kg/m2, noise 1-6 %, bias 5-30 %",
    test="10 fresh phantoms of unseen seeds, noise 8 %, bias 40 %, BMI 16-43 kg/m2 (beyond the training range at both ends), by"
    " the model as deployed",
    is_synthetic=True,
)


def draw_phantom_cases(seeds: Iterable[int]) -> Iterable[AnnotatedCase]:
    """Phantoms for training: BMI 18-38 kg/m2, noise SD 1-6 % and bias 5-30 % of the full signal."""
    for seed in seeds:
        rng = np.random.default_rng([seed, 7])
        person = draw_person(rng, f"{seed}", TRAINING_BMI)
        acquisition = Acquisition(noise=rng.uniform(0.01, 0.06), bias=rng.uniform(0.05, 0.30))
        phantom = render(person, seed, acquisition=acquisition)
        yield AnnotatedCase(f"phantom_{seed}", f"{seed}", phantom.dixon, phantom.labels)


def draw_test_cases(seeds: Iterable[int] = TEST_SEEDS) -> Iterable[AnnotatedCase]:
    """Phantoms for the test: unseen seeds, BMI 16-43 kg/m2 evenly over the cases, noise and bias beyond the training's."""
    for seed, bmi in zip(seeds, np.linspace(*TEST_BMI, len(seeds)), strict=True):
        person = draw_person(np.random.default_rng([seed, 7]), f"{seed}", (bmi, bmi))
        phantom = render(person, seed, acquisition=TEST_ACQUISITION)
        yield AnnotatedCase(f"phantom_{seed}", f"{seed}", phantom.dixon, phantom.labels)


def prepare(cases: Iterable[AnnotatedCase], workspace: Path, profile: dict[str, Any]) -> None:
    """Make a workspace: nnU-Net's raw dataset, fingerprint, plan, preprocessed cases and folds; it appears when it is complete.

    All cases of a person are held out by one fold.

    Raises
    ------
    InvalidModel
        As `plan_and_preprocess`.
    """
    building = workspace.with_name(f".{workspace.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    persons = write_dataset(cases, building)
    plan_and_preprocess(building, profile)
    write_splits(persons, building)
    building.replace(workspace)


def write_dataset(cases: Iterable[AnnotatedCase], workspace: Path) -> dict[str, str]:
    """Write cases as nnU-Net's raw dataset: one NIfTI a contrast (channel order `CONTRASTS`) and one label map each.

    Returns
    -------
    dict
        The person of each case, by its name.
    """
    folder = workspace / "raw" / DATASET_NAME
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    persons = {}
    for case in cases:
        persons[case.name] = case.person
        for channel, contrast in enumerate(CONTRASTS):
            image = nib.Nifti1Image(case.dixon.volumes[contrast].astype(np.float32), case.dixon.affine)
            nib.save(image, folder / "imagesTr" / f"{case.name}_{channel:04d}.nii.gz")
        nib.save(nib.Nifti1Image(case.labels, case.dixon.affine), folder / "labelsTr" / f"{case.name}.nii.gz")
    dataset = {
        "channel_names": {str(channel): contrast for channel, contrast in enumerate(CONTRASTS)},
        "labels": {"background": 0} | {f"{compartment}_{side}": value for (compartment, side), value in LABELS.items()},
        "numTraining": len(persons),
        "file_ending": ".nii.gz",
    }
    write_json(folder / "dataset.json", dataset)
    return persons


def write_splits(persons: dict[str, str], workspace: Path) -> None:
    """Write the five folds, by nnU-Net's own draw among persons, where nnU-Net looks for them."""
    from nnunetv2.utilities.crossval_split import generate_crossval_split

    splits = [
        {part: [name for name in sorted(persons) if persons[name] in drawn[part]] for part in ("train", "val")}
        for drawn in generate_crossval_split(sorted(set(persons.values())))
    ]
    write_json(workspace / "preprocessed" / DATASET_NAME / "splits_final.json", splits)


def point_nnunet_at(workspace: Path) -> None:
    """Set nnU-Net's folders and our trainer's folder in the environment."""
    for name in ("raw", "preprocessed", "results"):
        os.environ[f"nnUNet_{name}"] = str(workspace / name)
    os.environ["nnUNet_extTrainer"] = str(Path(__file__).parent / "trainer")
    os.environ.setdefault("nnUNet_n_proc_DA", str(min(max(_n_cores() - 1, 1), MOST_AUGMENTERS)))


def _n_cores() -> int:
    return len(os.sched_getaffinity(0))


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

    Spacing, normalisation and resampling stay as nnU-Net planned them; where the profile starts from a model, all of the
    configuration is that model's. The profile itself travels in the plans, where the trainer and later readers of the
    model find it.

    Raises
    ------
    InvalidModel
        If the profile starts from a model that is not there or not what its manifest says.
    """
    from nnunetv2.experiment_planning import plan_and_preprocess_api as api

    point_nnunet_at(workspace)
    api.extract_fingerprints([DATASET_ID], num_processes=_n_cores(), check_dataset_integrity=False)
    api.plan_experiments([DATASET_ID])
    path = workspace / "preprocessed" / DATASET_NAME / f"{PLANS}.json"
    plans = json.loads(path.read_text())
    plans["training_profile"] = profile
    if "start_from" in profile:
        adopt_plan(plans, open_model(profile["start_from"]))
    if "plan" in profile:
        shrink(plans["configurations"][CONFIGURATION], **profile["plan"])
    path.write_text(json.dumps(plans, indent=2))
    api.preprocess([DATASET_ID], configurations=(CONFIGURATION,), num_processes=(_n_cores(),))


def adopt_plan(plans: dict[str, Any], model: Model) -> None:
    """Work on the grid, with the normalisation and the network of a model, as nnU-Net does when plans are moved."""
    theirs = json.loads((model.folder / "plans.json").read_text())
    ours = plans["configurations"][CONFIGURATION]
    kept = {key: ours[key] for key in ("data_identifier", "median_image_size_in_voxels")}
    plans["configurations"][CONFIGURATION] = theirs["configurations"][model.configuration] | kept
    for key in ("foreground_intensity_properties_per_channel", "transpose_forward", "transpose_backward"):
        plans[key] = theirs[key]


def shrink(
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


def train_fold(workspace: Path, profile: dict[str, Any], fold: int, wanted_device: str = "auto") -> None:
    """Train one fold and run nnU-Net's own validation on its held-out cases; continues from the last checkpoint.

    Raises
    ------
    InvalidModel
        If the profile starts from a model that is not there, not what its manifest says, or another network than planned.
    """
    import torch
    from nnunetv2.run.run_training import get_trainer_from_args, maybe_load_checkpoint

    point_nnunet_at(workspace)
    device = torch.device(choose_device(wanted_device))
    trainer = get_trainer_from_args(
        str(DATASET_ID), CONFIGURATION, fold, profile["trainer"], PLANS, continue_training=True, device=device
    )
    output = Path(trainer.output_folder)
    if (output / "validation" / "summary.json").is_file():
        return
    has_checkpoint = any(output.glob("checkpoint_*.pth"))
    if "start_from" in profile and not has_checkpoint:
        trainer.initialize()
        load_first_weights(trainer.network, open_model(profile["start_from"]))
    maybe_load_checkpoint(trainer, continue_training=has_checkpoint, validation_only=False)
    trainer.run_training()
    trainer.perform_actual_validation()


def load_first_weights(network: "torch.nn.Module", model: Model) -> None:
    """Give a network a model's weights (fold 0), but for the last layers where the model has other labels.

    Raises
    ------
    InvalidModel
        If the model is another network.
    """
    weights = load_weights(model)[0]
    if model.label_map is not None:
        weights = {name: tensor for name, tensor in weights.items() if ".seg_layers." not in name}
    try:
        missing, unknown = getattr(network, "_orig_mod", network).load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise InvalidModel(
            f"{model.model_version} is another network than planned: plan nothing of your own."
        ) from error
    if unknown or any(".seg_layers." not in name for name in missing):
        raise InvalidModel(f"{model.model_version} is another network than planned: plan nothing of your own.")


def read_profile(workspace: Path) -> dict[str, Any]:
    """The profile that the workspace was planned with."""
    plans = workspace / "preprocessed" / DATASET_NAME / f"{PLANS}.json"
    return json.loads(plans.read_text())["training_profile"]


def score_out_of_fold(workspace: Path, profile: dict[str, Any], folds: Iterable[int]) -> pd.DataFrame:
    """Scores of each training case by the one fold that did not see it, from nnU-Net's own validation.

    Returns
    -------
    DataFrame
        As `score_masks`, with case and fold.
    """
    truth = workspace / "raw" / DATASET_NAME / "labelsTr"
    frames = []
    for fold in folds:
        for path in sorted((_results(workspace, profile) / f"fold_{fold}" / "validation").glob("*.nii.gz")):
            predicted, labels = (nib.load(p) for p in (path, truth / path.name))
            scores = score_masks(*(np.asarray(image.dataobj, np.uint8) for image in (predicted, labels)), labels.affine)
            frames.append(scores.assign(case=path.name.removesuffix(".nii.gz"), fold=fold))
    return pd.concat(frames, ignore_index=True)


def score_masks(predicted: np.ndarray, truth: np.ndarray, affine: np.ndarray) -> pd.DataFrame:
    """As `score_case`, with exchanged_side_pct."""
    scores = score_case(predicted, truth, tuple(np.linalg.norm(affine[:3, :3], axis=0)))
    return scores.assign(exchanged_side_pct=exchanged_side_pct(predicted, truth))


def collect_model(
    workspace: Path,
    profile: dict[str, Any],
    destination: Path,
    data: DataDescription,
    test_cases: Iterable[AnnotatedCase] = (),
    wanted_device: str = "auto",
) -> None:
    """Build a model folder: plans, dataset description, weights of all folds in half precision, splits, scores, card, manifest.

    Weights are bare (no optimizer state). `splits.json` names each fold's held-out cases, `out_of_fold.csv` holds
    `score_out_of_fold`; the manifest holds the sha256 of every file and the versions it was trained with.

    Parameters
    ----------
    destination
        Its name becomes the model's version.
    data
        What the cases are, for the card.
    test_cases
        Held-out cases, on which the model is scored as deployed.

    Raises
    ------
    InvalidModel
        If there is such a model already, or a fold is not trained to its end.
    """
    results = _results(workspace, profile)
    for fold in range(profile["folds"]):
        if not (results / f"fold_{fold}" / "validation" / "summary.json").is_file():
            raise InvalidModel(f"Fold {fold} is not trained to its end: train it first.")
    with build_folder(destination) as folder:
        _write_parts(workspace, profile, folder)
        _write_card_and_manifest(folder, destination.name, profile, data, None)
        test = score_deployed(open_model(str(folder)), test_cases, wanted_device)
        if test is not None:
            _write_card_and_manifest(folder, destination.name, profile, data, test)


def _write_parts(workspace: Path, profile: dict[str, Any], folder: Path) -> None:
    """Write what nnU-Net produced into a model folder."""
    import torch

    results, folds = _results(workspace, profile), range(profile["folds"])
    for name in ("plans.json", "dataset.json"):
        shutil.copyfile(results / name, folder / name)
    for fold in folds:
        name = f"fold_{fold}/checkpoint_final.pth"
        torch.save(halve(read_checkpoint(results / name, name)), folder / f"fold_{fold}.pth")
    splits = json.loads((workspace / "preprocessed" / DATASET_NAME / "splits_final.json").read_text())
    write_json(folder / "splits.json", [{"fold": fold, "validation": splits[fold]["val"]} for fold in folds])
    score_out_of_fold(workspace, profile, folds).round(6).to_csv(folder / "out_of_fold.csv", index=False)


def _write_card_and_manifest(
    folder: Path, model_version: str, profile: dict[str, Any], data: DataDescription, test: pd.DataFrame | None
) -> None:
    versions = {name: version(name) for name in ("nnunetv2", "torch")}
    card = describe_model(folder, model_version, CONFIGURATION, profile, data, versions, test)
    (folder / "MODEL_CARD.md").write_text(card, encoding="utf-8")
    write_manifest(folder, model_version, configuration=CONFIGURATION, trained_with=versions)


def halve(weights: dict[str, "torch.Tensor"]) -> dict[str, "torch.Tensor"]:
    """Weights in half precision; names that share a tensor (nnU-Net's decoder names the encoder's too) go on sharing it."""
    halves = {tensor.data_ptr(): tensor.half() for tensor in weights.values()}
    return {name: halves[tensor.data_ptr()] for name, tensor in weights.items()}


def _results(workspace: Path, profile: dict[str, Any]) -> Path:
    return workspace / "results" / DATASET_NAME / f"{profile['trainer']}__{PLANS}__{CONFIGURATION}"


def score_deployed(model: Model, cases: Iterable[AnnotatedCase], wanted_device: str = "cpu") -> pd.DataFrame | None:
    """`score_model` in the number format that a cohort run would choose on the first case; None without cases."""
    cases, device = iter(cases), choose_device(wanted_device)
    first = next(cases, None)
    if first is None:
        return None
    segmenter = Segmenter(model, device, choose_precision(model, device, first.dixon))
    return score_model(segmenter, chain([first], cases))


def score_model(segmenter: Segmenter, cases: Iterable[AnnotatedCase]) -> pd.DataFrame:
    """Scores of a loaded model on annotated cases: as `score_masks`, with case."""
    frames = []
    for case in cases:
        scores = score_masks(segmenter.segment(case.dixon), case.labels, case.dixon.affine)
        frames.append(scores.assign(case=case.name))
    return pd.concat(frames, ignore_index=True)


def main() -> None:
    """Train a profile on its phantoms and score the model on fresh ones; continues where it was stopped."""
    profile, workspace, destination = load_profile(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    if not workspace.is_dir():
        prepare(draw_phantom_cases(range(*profile["phantom_seeds"])), workspace, profile)
    for fold in range(profile["folds"]):
        train_fold(workspace, profile, fold)
    collect_model(workspace, profile, destination, PHANTOMS, draw_test_cases())


if __name__ == "__main__":
    main()
