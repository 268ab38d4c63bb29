"""`make train MODEL=<version> STUDY=<study>`: annotated cases -> dataset -> folds -> a registered model, by the assets the UI shows.

A training that was stopped continues where it was: the same command again. The model is not in force until it is promoted.
"""

import argparse
import sys

import dagster as dg

from dagster_project.defs.training import Training, trained_model, training_dataset, training_fold
from dagster_project.settings import load_settings
from dagster_project.update import open_instance
from dagster_project.warehouse import Warehouse
from models.segmentation.training import read_profile

ASSETS = [training_dataset, training_fold, trained_model]


def train(config: Training) -> None:
    """Materialize what is missing of dataset and folds, then the model.

    Raises
    ------
    dagster.Failure
        If something is not as it must be; the description says what to do.
    """
    workspace = config.workspace(load_settings())
    with open_instance() as instance:
        if not workspace.is_dir():
            _materialize(training_dataset, config, instance)
        for fold in range(read_profile(workspace)["folds"]):
            _materialize(training_fold, config, instance, str(fold))
        _materialize(trained_model, config, instance)


def _materialize(
    asset: dg.AssetsDefinition, config: Training, instance: dg.DagsterInstance, partition_key: str | None = None
) -> None:
    dg.materialize(
        ASSETS,
        selection=[asset],
        partition_key=partition_key,
        instance=instance,
        resources={"warehouse": Warehouse()},
        run_config=dg.RunConfig(ops={asset.op.name: config}),
    )


def main() -> int:
    """Command line: version, profile, study."""
    parser = argparse.ArgumentParser(description="Train a model on a study's annotated cases.")
    parser.add_argument("model_version", help="the new model's name")
    parser.add_argument("--profile", default="study", help="of models/segmentation/profiles.toml")
    parser.add_argument("--study", default="cohort")
    arguments = parser.parse_args()
    try:
        train(Training(**vars(arguments)))
    except dg.Failure as error:
        print(f"failed: {error.description}", file=sys.stderr)
        return 1
    print(f"trained {arguments.model_version}: promote it, or set MYONORM_MODEL={arguments.model_version}, to use it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
