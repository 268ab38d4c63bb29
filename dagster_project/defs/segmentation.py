"""The cohort's segmentation: a release's new or changed images through the model, into masks and the ledger."""

import dagster as dg
import duckdb
import pandas as pd

from dagster_project import engine
from dagster_project.asset_specs import describe_table
from dagster_project.case_work import ImageCase, segment
from dagster_project.defs.releases import releases
from dagster_project.settings import Settings, load_settings
from dagster_project.warehouse import Warehouse, count_rows, insert, transaction
from models.segmentation.inference import open_model

SEGMENTATION_DEADLINE_S = 1800


@dg.asset(
    **describe_table("imaging.segmentation"),
    partitions_def=releases,
    group_name="imaging",
    deps=[["raw", "dixon_series"]],
)
def segmentation(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult:
    settings = load_settings()
    model = open_model(settings.model)
    with warehouse.connect() as connection:
        cases = list_cases(connection, settings, model.model_version, context.partition_key)
        n_failed = 0
        for done, outcome in enumerate(engine.run(segment, cases, settings.workers, SEGMENTATION_DEADLINE_S), start=1):
            record(connection, outcome, model.model_version)
            n_failed += outcome.code is not None
            context.log.info(f"{context.partition_key}: {done} of {len(cases)} cases, {outcome.code or 'segmented'}")
        connection.execute("CHECKPOINT")
        n_rows = count_rows(connection, "imaging.segmentation")
    return dg.MaterializeResult(
        metadata={"segmented": len(cases) - n_failed, "failed": n_failed, "dagster/row_count": n_rows}
    )


def list_cases(
    connection: duckdb.DuckDBPyConnection, settings: Settings, model_version: str, release: str
) -> list[ImageCase]:
    """The release's cases that are new or changed for the model, or may be tried again."""
    rows = connection.execute(
        "SELECT study, participant_id, visit, image_sha256, attempts FROM segmentation_worklist($model) WHERE release = $release ORDER BY ALL",
        {"model": model_version, "release": release},
    ).fetchall()
    return [ImageCase(settings.home, *row, settings.model, settings.device) for row in rows]


def record(connection: duckdb.DuckDBPyConnection, outcome: engine.Outcome, model_version: str) -> None:
    """Replace the case's row of the ledger."""
    case, mask = outcome.case, outcome.result
    row = {
        "study": case.study,
        "participant_id": case.participant_id,
        "visit": case.visit,
        "model_version": model_version,
        "status": "failed" if outcome.code else "done",
        "code": outcome.code,
        "message": outcome.message,
        "attempts": case.attempts + 1,
        "image_sha256": case.image_sha256,
        "mask_path": mask and mask.mask_path,
        "mask_sha256": mask and mask.mask_sha256,
        "seconds": mask and mask.seconds,
        "device": mask and mask.device,
    }
    with transaction(connection):
        connection.execute(
            "DELETE FROM imaging.segmentation WHERE (study, participant_id, visit, model_version) = (?, ?, ?, ?)",
            [case.study, case.participant_id, case.visit, model_version],
        )
        insert(connection, "imaging.segmentation", pd.DataFrame([row]))
