"""Training as assets: annotated cases -> nnU-Net's dataset and plan -> its folds, one partition each -> a model folder.

What belongs here: which cases train, where the work lies, and what the Dagster UI shows of it. How a network is trained is
`models.segmentation.training`'s knowledge. Training is started by hand, in this order: dataset, folds, model; `make train`
does all three.
"""

import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import dagster as dg
import duckdb

from dagster_project.engine import end_with
from dagster_project.identity import Identity
from dagster_project.model_registry import register
from dagster_project.settings import Settings, load_settings
from dagster_project.warehouse import Warehouse
from models.imaging.dixon import CONTRASTS, DixonSet
from models.imaging.nifti import read_volume
from models.segmentation import training
from models.segmentation.card import DataDescription
from models.segmentation.inference import InvalidModel, open_model
from models.segmentation.training import AnnotatedCase

N_FOLDS = 5
MODEL_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
folds = dg.StaticPartitionsDefinition([str(fold) for fold in range(N_FOLDS)])

# The reference annotation of each case of a role: the first reading, readers in the order of their codes. Whoever has a
# training case has no test case.
CASES = """
SELECT participant_id, visit, annotation_path, list(nifti_path ORDER BY list_position($contrasts, contrast)) AS nifti_paths
FROM (
    FROM raw.current_annotation
    WHERE study = $study
    QUALIFY bool_or(role = 'train') OVER (PARTITION BY participant_id) = ($role = 'train')
        AND row_number() OVER (PARTITION BY participant_id, visit, role ORDER BY reading, reader) = 1
) AS annotation
JOIN raw.current_dixon_series AS series USING (study, participant_id, visit)
WHERE role = $role
GROUP BY ALL
HAVING max(series.image_sha256) FILTER (contrast = 'in') = any_value(annotation.image_sha256)
ORDER BY ALL
"""


class Training(dg.Config):
    """What is trained: the new model's version, a profile of `profiles.toml`, the study whose annotations are used."""

    model_version: str
    profile: str = "study"
    study: str = "cohort"

    def workspace(self, settings: Settings) -> Path:
        """Where nnU-Net works.

        Raises
        ------
        dagster.Failure
            If the version is no name.
        """
        if not MODEL_VERSION.fullmatch(self.model_version):
            raise _failure("A model version is made of letters, digits and -: name another.")
        return settings.trainings / self.model_version


def _failure(message: str) -> dg.Failure:
    return dg.Failure(message, allow_retries=False)


def find_cases(connection: duckdb.DuckDBPyConnection, settings: Settings, study: str, role: str) -> list[tuple]:
    """Name (a keyed hash), person, mask and images of the study's annotated cases of a role; paths relative to MYONORM_HOME."""
    identity = Identity(study, settings.resolve_secret_key(), settings.hash_pseudonyms)
    rows = connection.execute(CASES, {"study": study, "role": role, "contrasts": list(CONTRASTS)}).fetchall()
    n_persons = len({participant_id for participant_id, *_ in rows})
    if role == "train" and n_persons < N_FOLDS:
        raise _failure(
            f"Training cases of {n_persons} persons of study {study}: five folds need {N_FOLDS} at least. Annotate more."
        )
    return [(identity.case_name(who, visit), who, *paths) for who, visit, *paths in rows]


def read_cases(home: Path, found: list[tuple]) -> Iterator[AnnotatedCase]:
    """The cases found, one at a time, verified as they are read."""
    for name, person, annotation_path, nifti_paths in found:
        volumes = dict(zip(CONTRASTS, (read_volume(home / path) for path in nifti_paths), strict=True))
        dixon = DixonSet({contrast: voxels for contrast, (voxels, _) in volumes.items()}, volumes["in"][1])
        yield AnnotatedCase(name, person, dixon, read_volume(home / annotation_path)[0])


def _run_apart(function: Callable, *arguments) -> None:
    """Call a function in a fresh process, which ends with this one.

    nnU-Net forks pools and ends them by SIGTERM: forks of this process would inherit Dagster's handler, and never end.
    """
    with ProcessPoolExecutor(1, get_context("spawn"), initializer=end_with, initargs=[os.getpid()]) as pool:
        pool.submit(function, *arguments).result()


def _prepare(home: Path, found: list[tuple], workspace: Path, profile: dict) -> None:
    training.prepare(read_cases(home, found), workspace, profile)


def _read_profile(workspace: Path) -> dict:
    if not workspace.is_dir():
        raise _failure(f"There is no dataset of {workspace.name}: materialize training/dataset first.")
    return training.read_profile(workspace)


@dg.asset(key=["training", "dataset"], group_name="training", kinds={"nnunet"}, deps=[["raw", "annotation"]])
def training_dataset(config: Training, warehouse: Warehouse) -> dg.MaterializeResult:
    """The study's annotated training cases in nnU-Net's format, with its fingerprint, plan and preprocessing."""
    settings = load_settings()
    workspace = config.workspace(settings)
    if workspace.exists():
        raise _failure(
            f"There is a dataset of {workspace.name} already: train its folds, name another version, or remove {workspace}."
        )
    try:
        profile = training.load_profile(config.profile)
        if "start_from" in profile:
            profile |= {"start_from": settings.find_model(profile["start_from"])}
        with warehouse.connect() as connection:
            found = find_cases(connection, settings, config.study, "train")
        _run_apart(_prepare, settings.home, found, workspace, profile)
    except (ValueError, InvalidModel) as error:
        raise _failure(str(error)) from error
    return dg.MaterializeResult(metadata={"cases": len(found), "profile": config.profile})


@dg.asset(
    key=["training", "fold"], group_name="training", kinds={"nnunet"}, partitions_def=folds, deps=[training_dataset]
)
def training_fold(context: dg.AssetExecutionContext, config: Training) -> dg.MaterializeResult:
    """One fold, trained and validated by nnU-Net; a run that was stopped continues from its last checkpoint."""
    settings = load_settings()
    workspace = config.workspace(settings)
    profile, fold = _read_profile(workspace), int(context.partition_key)
    if fold >= profile["folds"]:
        raise _failure(f"Profile {profile['name']} trains {profile['folds']} folds: fold {fold} is none of them.")
    _run_apart(training.train_fold, workspace, profile, fold, settings.device)
    scores = training.score_out_of_fold(workspace, profile, [fold])
    return dg.MaterializeResult(
        metadata={"validation_cases": scores["case"].nunique(), "mean_dice": float(scores["dice"].mean())}
    )


@dg.asset(key=["training", "model"], group_name="training", kinds={"nnunet"}, deps=[training_fold])
def trained_model(config: Training, warehouse: Warehouse) -> dg.MaterializeResult:
    """The model folder MYONORM_HOME/models/<version>, registered: set MYONORM_MODEL to its name, or promote it, to use it."""
    settings = load_settings()
    workspace, destination = config.workspace(settings), settings.models / config.model_version
    profile = _read_profile(workspace)
    with warehouse.connect() as connection:
        found = find_cases(connection, settings, config.study, "test")
    try:
        training.collect_model(
            workspace,
            profile,
            destination,
            _describe_data(config.study, len(found)),
            read_cases(settings.home, found),
            settings.device,
        )
        model = open_model(str(destination))
        with warehouse.connect() as connection:
            register(connection, model)
    except InvalidModel as error:
        raise _failure(str(error)) from error
    return dg.MaterializeResult(metadata={"card": dg.MetadataValue.md(model.card)})


def _describe_data(study: str, n_test: int) -> DataDescription:
    is_synthetic = study == "synthetic"
    cases = f"annotated cases of study {study}{', all of them synthetic' if is_synthetic else ''}"
    return DataDescription(cases, f"{n_test} held-out {cases}, by the model as deployed", is_synthetic)
