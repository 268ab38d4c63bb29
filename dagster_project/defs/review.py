"""What people said and did about masks: the verdicts of reviews/, and masks corrected by hand.

What belongs here: taking both into the warehouse, whole, with every cohort update. A verdict's line is `review_intake`'s, a corrected
mask `correction`'s; which verdict counts is decided in SQL.
"""

import dagster as dg
import duckdb
import pandas as pd

from dagster_project import engine
from dagster_project.asset_specs import FOLLOWS, describe_table
from dagster_project.case_work import ImageCase, inspect, measure
from dagster_project.correction import corrected_mask_path, take_in_correction
from dagster_project.defs import measurement, quality
from dagster_project.defs.statistics import refill
from dagster_project.identity import Identity
from dagster_project.review_files import CORRECTION_KEY, SUFFIX, CorrectedCase, list_corrected
from dagster_project.review_intake import CASE, ReviewLog, read_reviews
from dagster_project.settings import Settings, load_settings
from dagster_project.warehouse import Warehouse, count_rows, insert, transaction
from dagster_project.withdrawal import Withdrawn, forget_verdicts
from models.statistics.rater_agreement import agree_on_categories

TABLES = ("review", "review_file", "review_issue", "correction")
VERDICTS = ["accept", "unsure", "reject"]  # a case is what its worst muscle is
TRIED_AGAIN = ("deadline", "worker_died", "out_of_memory", "corrupt_volume", "error")  # the machine's fault
OF_MASKS = ("segmentation", "csa_profile", "muscle", "quality")


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            **describe_table(f"imaging.{table}"),
            group_name="review",
            deps=[["imaging", "segmentation"], ["imaging", "quality"], ["ref", "review_reason"], ["raw", "withdrawal"]],
        ).replace_attributes(automation_condition=FOLLOWS)
        for table in TABLES
    ],
    can_subset=False,
)
def human_review(context: dg.AssetExecutionContext, warehouse: Warehouse):
    """Take in corrected masks that are new, and all verdicts anew."""
    settings = load_settings()
    with warehouse.connect() as connection:
        take_in_corrections(connection, settings)
        log = read_log(connection, settings)
        with transaction(connection):
            for table in TABLES[:3]:
                connection.execute(f"TRUNCATE imaging.{table}")
            insert(connection, "imaging.review", log.rows)
            insert(connection, "imaging.review_file", log.files)
            insert(connection, "imaging.review_issue", log.issues)
        connection.execute("CHECKPOINT")
        for table in TABLES:
            n_rows = count_rows(connection, f"imaging.{table}")
            yield dg.MaterializeResult(asset_key=["imaging", table], metadata={"dagster/row_count": n_rows})


@dg.asset(**describe_table("stats.review_agreement"), group_name="stats", deps=[["imaging", "review"]])
def review_agreement(warehouse: Warehouse) -> dg.MaterializeResult:
    return refill(warehouse, "stats.review_agreement", compare_readers)


def compare_readers(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Agreement of first and second readings, for each muscle and for cases as a whole."""
    pairs = connection.execute(
        "SELECT *, side || ' ' || compartment AS muscle FROM imaging.review_pair ORDER BY ALL"
    ).df()
    if pairs.empty:
        return pd.DataFrame()
    case = pairs.astype(
        {name: pd.CategoricalDtype(VERDICTS, ordered=True) for name in ("first_verdict", "second_verdict")}
    )
    case = case.groupby([*CASE], observed=True)[["first_verdict", "second_verdict"]].max().reset_index()
    both = pd.concat([pairs, case.astype({"first_verdict": str, "second_verdict": str}).assign(muscle="case")])
    return agree_on_categories(both, ["study", "model_version", "muscle"], VERDICTS)


def read_log(connection: duckdb.DuckDBPyConnection, settings: Settings) -> ReviewLog:
    """All verdicts; lines of persons who withdrew while their case was on a reader's screen are removed first."""
    folder = settings.home / "reviews"
    cases = set(connection.execute(f"SELECT {', '.join(CASE)} FROM imaging.segmentation").fetchall())
    reasons = {reason for (reason,) in connection.execute("SELECT reason FROM ref.review_reason").fetchall()}
    log = read_reviews(folder, cases, reasons)
    late = [
        participant_id
        for study, participant_id in log.strangers
        if participant_id in Withdrawn(connection, Identity(study, settings.resolve_secret_key(), is_hashed=False))
    ]
    for participant_id in late:
        forget_verdicts(folder, participant_id)
    return read_reviews(folder, cases, reasons) if late else log


def take_in_corrections(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Bring imaging.correction and the rows of corrected masks in line with the packages."""
    cases = {case.key: case for case in list_corrected(settings.home)}
    rows = connection.execute(f"SELECT {', '.join(CORRECTION_KEY)}, code FROM imaging.correction").fetchall()
    known, looked_at = {row[:-1] for row in rows}, {row[:-1] for row in rows if row[-1] not in TRIED_AGAIN}
    still = {key for key in cases if key in looked_at and _is_current(connection, cases[key])}
    for key in known - still:
        _forget_correction(connection, key)
    new = [case for key, case in cases.items() if key not in still]
    stored = engine.open_engine(settings).run(take_in_correction, new, measurement.MEASUREMENT_DEADLINE_S)
    for outcome in stored:
        _record(connection, settings, outcome)


def _is_current(connection: duckdb.DuckDBPyConnection, case: CorrectedCase) -> bool:
    """Whether the ledger still holds the mask that was corrected."""
    return bool(
        connection.execute(
            "SELECT count(*) FROM imaging.segmentation"
            " WHERE (study, participant_id, visit, model_version, mask_sha256) = (?, ?, ?, ?, ?)",
            [*case.key[:4], case.original_mask_sha256],
        ).fetchone()[0]
    )


def _forget_correction(connection: duckdb.DuckDBPyConnection, key: tuple[str, ...]) -> None:
    with transaction(connection):
        connection.execute(f"DELETE FROM imaging.correction WHERE ({', '.join(CASE)}) = (?, ?, ?, ?)", key[:4])
        for table in OF_MASKS:
            connection.execute(
                f"DELETE FROM imaging.{table} WHERE ({', '.join(CASE)}) = (?, ?, ?, ?)", [*key[:3], key[3] + SUFFIX]
            )


def _record(connection: duckdb.DuckDBPyConnection, settings: Settings, outcome: engine.Outcome) -> None:
    """Enter a corrected mask into the ledger, measure it and judge it, as any other."""
    case: CorrectedCase = outcome.case
    key = dict(zip(CASE, case.key[:4], strict=True))
    facts = {name: getattr(case, name) for name in ("corrected_version", "image_sha256", "original_mask_sha256")}
    facts |= {"file_sha256": case.file_sha256, "code": outcome.code, "message": outcome.message}
    if outcome.result:
        facts |= {"mask_sha256": outcome.result.mask_sha256, "dice_to_original": outcome.result.dice_to_original}
    with transaction(connection):
        insert(connection, "imaging.correction", pd.DataFrame([key | facts]))
        if outcome.result:
            ledger = {**key, "model_version": case.corrected_version, "status": "done", "attempts": 1}
            ledger |= {
                "image_sha256": case.image_sha256,
                "mask_path": str(corrected_mask_path(case)),
                "is_low_memory": False,
            }
            ledger["mask_sha256"] = outcome.result.mask_sha256
            insert(connection, "imaging.segmentation", pd.DataFrame([ledger]))
    if not outcome.result:
        return
    (release,) = connection.execute(
        "SELECT any_value(release) FROM raw.current_dixon_series WHERE (study, participant_id, visit) = (?, ?, ?)",
        list(key.values())[:3],
    ).fetchone()
    image = ImageCase(
        settings.home, *list(key.values())[:3], case.image_sha256, 0, case.corrected_version, settings.device
    )
    workers, mask_sha256 = engine.open_engine(settings), outcome.result.mask_sha256
    for measured in workers.run(measure, [image], measurement.MEASUREMENT_DEADLINE_S):
        measurement.store(connection, measured, mask_sha256, release)
    for judged in workers.run(inspect, [quality.describe_case(connection, image)], quality.DEADLINE_S):
        quality.record(connection, judged, mask_sha256, release)
