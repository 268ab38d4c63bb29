"""Training as assets: annotated cases -> nnU-Net's dataset and plan -> its folds, one partition each -> a model folder.

What belongs here: which cases train, where the work lies, and what the Dagster UI shows of it. How a network is trained is
`models.segmentation.training`'s knowledge. Training is started by hand, in this order: dataset, folds, model.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import duckdb

from dagster_project.settings import Settings, load_settings
from dagster_project.warehouse import Warehouse
from models.imaging.dixon import CONTRASTS, DixonSet
from models.imaging.nifti import read_volume
from models.segmentation import training
from models.segmentation.training import AnnotatedCase

LEAST_CASES = 5
MODEL_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
folds = dg.StaticPartitionsDefinition([str(fold) for fold in range(5)])

# The reference annotation of each training case: the first reading, readers in the order of their codes.
TRAINING_CASES = """
SELECT concat_ws('_', study, participant_id, visit), annotation_path, list(nifti_path ORDER BY list_position($contrasts, contrast))
FROM (
    FROM raw.current_annotation
    WHERE study = $study AND role = 'train'
    QUALIFY row_number() OVER (PARTITION BY study, participant_id, visit ORDER BY reading, reader) = 1
) AS annotation
JOIN raw.current_dixon_series AS series USING (study, participant_id, visit)
GROUP BY ALL
HAVING max(series.image_sha256) FILTER (contrast = 'in') = any_value(annotation.image_sha256)
ORDER BY 1
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
            raise dg.Failure("A model version is made of letters, digits and -: name another.", allow_retries=False)
        return settings.home / "training" / self.model_version


def load_cases(connection: duckdb.DuckDBPyConnection, home: Path, study: str) -> Iterator[AnnotatedCase]:
    """The study's training cases with their reference annotation, verified as they are read."""
    rows = connection.execute(TRAINING_CASES, {"study": study, "contrasts": list(CONTRASTS)}).fetchall()
    if len(rows) < LEAST_CASES:
        raise dg.Failure(
            f"{len(rows)} training cases of study {study}: five folds need {LEAST_CASES} at least. Annotate more.",
            allow_retries=False,
        )
    for name, annotation_path, nifti_paths in rows:
        volumes = dict(zip(CONTRASTS, (read_volume(home / path) for path in nifti_paths), strict=True))
        dixon = DixonSet({contrast: voxels for contrast, (voxels, _) in volumes.items()}, volumes["in"][1])
        yield AnnotatedCase(name, dixon, read_volume(home / annotation_path)[0])


@dg.asset(key=["training", "dataset"], group_name="training", kinds={"nnunet"}, deps=[["raw", "annotation"]])
def training_dataset(config: Training, warehouse: Warehouse) -> dg.MaterializeResult:
    """The study's annotated training cases in nnU-Net's format, with its fingerprint, plan and preprocessing."""
    settings, profile = load_settings(), training.load_profile(config.profile)
    workspace = config.workspace(settings)
    with warehouse.connect() as connection:
        training.write_dataset(load_cases(connection, settings.home, config.study), workspace)
    training.plan_and_preprocess(workspace, profile)
    dataset = json.loads((workspace / "raw" / training.DATASET_NAME / "dataset.json").read_text())
    return dg.MaterializeResult(metadata={"cases": dataset["numTraining"], "profile": config.profile})


@dg.asset(
    key=["training", "fold"], group_name="training", kinds={"nnunet"}, partitions_def=folds, deps=[training_dataset]
)
def training_fold(context: dg.AssetExecutionContext, config: Training) -> dg.MaterializeResult:
    """One fold, trained and validated by nnU-Net; a run that was stopped continues from its last checkpoint."""
    workspace = config.workspace(load_settings())
    profile, fold = training.read_profile(workspace), int(context.partition_key)
    training.train_fold(workspace, profile, fold)
    scores = training.score_out_of_fold(workspace, profile, [fold])
    return dg.MaterializeResult(
        metadata={"validation_cases": scores["case"].nunique(), "mean_dice": float(scores["dice"].mean())}
    )


@dg.asset(key=["training", "model"], group_name="training", kinds={"nnunet"}, deps=[training_fold])
def trained_model(config: Training) -> dg.MaterializeResult:
    """The model folder MYONORM_HOME/models/<version>: set MYONORM_MODEL to it, or promote it, to segment with it."""
    settings = load_settings()
    workspace, destination = config.workspace(settings), settings.home / "models" / config.model_version
    profile = training.read_profile(workspace)
    training.collect_model(workspace, profile, destination)
    training.write_card(destination, profile, f"annotated cases of study {config.study}")
    card = (destination / "MODEL_CARD.md").read_text(encoding="utf-8")
    return dg.MaterializeResult(metadata={"card": dg.MetadataValue.md(card)})
