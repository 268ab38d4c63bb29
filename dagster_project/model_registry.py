"""meta.model: every model that this warehouse trained, took in or used, by its version.

What belongs here: one version, one model. Which model is in force is `settings.py`'s knowledge, which may be `promote.py`'s.
"""

import duckdb
import pandas as pd

from dagster_project.warehouse import insert
from models.segmentation.inference import InvalidModel, Model


def register(connection: duckdb.DuckDBPyConnection, model: Model) -> None:
    """Enter a model that is not there yet.

    Raises
    ------
    InvalidModel
        If another model bears the version: their masks would be mixed in one statistic.
    """
    known = connection.execute(
        "SELECT manifest_sha256 FROM meta.model WHERE model_version = ?", [model.model_version]
    ).fetchone()
    if known is None:
        row = {"model_version": model.model_version, "configuration": model.configuration, "is_current": False}
        row |= {"n_folds": len(model.fold_files), "manifest_sha256": model.manifest_sha256, "card": model.card}
        insert(connection, "meta.model", pd.DataFrame([row]))
    elif known[0] != model.manifest_sha256:
        raise InvalidModel(
            f"Another model of version {model.model_version} is registered in this warehouse: give this one a new version."
        )
