"""The cohort's segmentation: a release's new or changed images through the model, into masks and the ledger."""

from collections.abc import Iterator
from dataclasses import replace

import dagster as dg
import duckdb
import pandas as pd

from dagster_project import engine
from dagster_project.adoption import adopt, as_segmented, list_lying
from dagster_project.asset_specs import describe_table
from dagster_project.batching import in_batches
from dagster_project.case_work import ImageCase, probe_precision, segment
from dagster_project.defs.releases import releases
from dagster_project.model_registry import register
from dagster_project.run_summary import summarise_seconds
from dagster_project.settings import Settings, load_settings
from dagster_project.warehouse import Warehouse, count_rows, replace_all, transaction
from models.segmentation.inference import Model, open_model

SEGMENTATION_DEADLINE_S = 1800
ADOPTION_DEADLINE_S = 600
MAX_ATTEMPTS = 3
TRIED_AT_ONCE = ("out_of_memory", "worker_died")
MAX_FAILURE_PCT = 5.0
N_PROBES = 3

KEY = dg.AssetKey(["imaging", "segmentation"])
KEYS = ["study", "participant_id", "visit", "model_version"]
COMPLETE = dg.AssetCheckSpec(
    "complete",
    asset=KEY,
    blocking=True,
    description="Every participant and visit of the release that has images has a row in the ledger.",
)
FAILURE_RATE = dg.AssetCheckSpec(
    "failure_rate",
    asset=KEY,
    description=f"At most {MAX_FAILURE_PCT:.0f} % of the release's cases failed. Warns; the rest is published.",
)


@dg.asset(
    **describe_table("imaging.segmentation"),
    partitions_def=releases,
    group_name="imaging",
    deps=[["raw", "dixon_series"]],
    check_specs=[COMPLETE, FAILURE_RATE],
)
def segmentation(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult:
    settings = load_settings()
    model, release = open_model(settings.model), context.partition_key
    model_version, workers = model.model_version, engine.open_engine(settings, takes_turns=True)
    with warehouse.connect() as connection:
        register(connection, model)
        n_adopted = adopt_masks(connection, workers, model, list_cases(connection, settings, model_version, release))
        cases = list_cases(connection, settings, model_version, release)
        precision = choose_precision(connection, workers, model_version, cases)
        done = []
        for batch in in_batches(segment_all(workers, [replace(case, precision=precision) for case in cases])):
            record(connection, batch, model_version)
            done += batch
            n_failed = sum(outcome.code is not None for outcome in batch)
            message = f"{release}: {len(done)} of {len(cases)} cases; of the last {len(batch)} {n_failed} failed"
            context.log_event(dg.AssetObservation(KEY, description=message, partition=release))
        connection.execute("CHECKPOINT")
        return dg.MaterializeResult(
            metadata={
                "precision": precision,
                "found on disk": n_adopted,
                "dagster/row_count": count_rows(connection, "imaging.segmentation"),
                **summarise_seconds(done),
            },
            check_results=check_release(connection, model_version, release),
        )


def adopt_masks(
    connection: duckdb.DuckDBPyConnection, workers: engine.Engine, model: Model, cases: list[ImageCase]
) -> int:
    """Enter masks that lie on disk into the ledger; returns how many. A damaged one is left to the segmentation."""
    n_adopted = 0
    for batch in in_batches(workers.run(adopt, list_lying(cases, model), ADOPTION_DEADLINE_S)):
        whole = [as_segmented(outcome) for outcome in batch if outcome.code is None]
        if whole:
            record(connection, whole, model.model_version)
        n_adopted += len(whole)
    return n_adopted


def list_cases(
    connection: duckdb.DuckDBPyConnection, settings: Settings, model_version: str, release: str
) -> list[ImageCase]:
    """The release's cases that are new or changed for the model, or may be tried again."""
    rows = connection.execute(
        "SELECT study, participant_id, visit, image_sha256, attempts, is_low_memory FROM segmentation_worklist($model)"
        " WHERE release = $release ORDER BY ALL",
        {"model": model_version, "release": release},
    ).fetchall()
    return [
        ImageCase(
            settings.home, *row, settings.model, settings.device, is_low_memory=is_low_memory, threads=settings.threads
        )
        for *row, is_low_memory in rows
    ]


def choose_precision(
    connection: duckdb.DuckDBPyConnection, workers: engine.Engine, model_version: str, cases: list[ImageCase]
) -> str:
    """Number format of the network: that of the model's earlier masks, so that they stay comparable; else what a probe finds.

    The probe runs on the first case that can be read; without one it is float32.
    """
    known = connection.execute(
        "SELECT precision FROM imaging.segmentation WHERE model_version = ? AND status = 'done' LIMIT 1",
        [model_version],
    ).fetchone()
    if known:
        return known[0]
    for case in cases[:N_PROBES]:
        (outcome,) = workers.run(probe_precision, [case], SEGMENTATION_DEADLINE_S)
        if outcome.code is None:
            return outcome.result
    return "float32"


def segment_all(workers: engine.Engine, cases: list[ImageCase]) -> Iterator[engine.Outcome]:
    """Outcome of every attempt: one a case, and one more at the end for what ran out of memory or lost its process.

    What ran out of memory is tried again in the low-memory mode. Later attempts, three in all, are the next runs'.
    """
    again = []
    for outcome in workers.run(segment, cases, SEGMENTATION_DEADLINE_S):
        case = outcome.case
        if outcome.code in TRIED_AT_ONCE and case.attempts + 1 < MAX_ATTEMPTS:
            is_low_memory = case.is_low_memory or outcome.code == "out_of_memory"
            again.append(replace(case, attempts=case.attempts + 1, is_low_memory=is_low_memory))
        yield outcome
    if again:
        yield from workers.run(segment, again, SEGMENTATION_DEADLINE_S)


def record(connection: duckdb.DuckDBPyConnection, outcomes: list[engine.Outcome], model_version: str) -> None:
    """Replace the rows of cases in the ledger, in one transaction; of several attempts at a case the last counts."""
    rows = pd.DataFrame([_describe(outcome, model_version) for outcome in outcomes]).drop_duplicates(KEYS, keep="last")
    with transaction(connection):
        replace_all(connection, "imaging.segmentation", rows[KEYS], rows)


def _describe(outcome: engine.Outcome, model_version: str) -> dict:
    """A case's row of the ledger."""
    case, mask = outcome.case, outcome.result
    return {
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
        "precision": case.precision if mask else None,
        "is_low_memory": case.is_low_memory,
    }


def check_release(connection: duckdb.DuckDBPyConnection, model_version: str, release: str) -> list[dg.AssetCheckResult]:
    """`complete` and `failure_rate` of a release."""
    n_cases, n_known, n_failed = connection.execute(
        """
        SELECT count(*), count(ledger.status), count(*) FILTER (ledger.status = 'failed')
        FROM (SELECT DISTINCT study, participant_id, visit FROM raw.current_dixon_series WHERE release = $release) AS image
        LEFT JOIN imaging.segmentation AS ledger
            ON (ledger.study, ledger.participant_id, ledger.visit, ledger.model_version)
                = (image.study, image.participant_id, image.visit, $model)
        """,
        {"model": model_version, "release": release},
    ).fetchone()
    failed_pct = 100 * n_failed / max(n_cases, 1)
    return [
        dg.AssetCheckResult(
            check_name=COMPLETE.name,
            passed=n_known == n_cases,
            metadata={"cases": n_cases, "without a row": n_cases - n_known},
        ),
        dg.AssetCheckResult(
            check_name=FAILURE_RATE.name,
            passed=failed_pct <= MAX_FAILURE_PCT,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"failed": n_failed, "failed_pct": failed_pct, "limit_pct": MAX_FAILURE_PCT},
        ),
    ]
