"""Automatic quality control of measured cases: verdicts, the overlay figure, and whole fat-water swaps undone where allowed.

What belongs here: which cases are judged, storing, and the run's worst cases as a montage. The checks are
`models.measurement.quality`'s. A mask is inspected once; changed limits are applied to the stored values of the release's cases.
"""

import base64
from io import BytesIO
from pathlib import Path

import dagster as dg
import duckdb
import pandas as pd
from PIL import Image

from dagster_project import engine
from dagster_project.asset_specs import describe_table
from dagster_project.batching import in_batches, stack
from dagster_project.case_work import ImageCase, QualityCase, inspect
from dagster_project.catalog import SQL
from dagster_project.defs.releases import releases
from dagster_project.defs.statistics import refill
from dagster_project.settings import Settings, load_settings
from dagster_project.warehouse import Warehouse, count_rows, replace_all, transaction
from models.measurement.quality import NOT_INSPECTED, Finding, Threshold, judge, read_thresholds
from models.segmentation.inference import open_model
from models.statistics.exclusion import regress_exclusion

DEADLINE_S = 600
THRESHOLDS = SQL / "ref" / "threshold.csv"
KEYS = ("study", "participant_id", "visit", "model_version")
N_WORST, TILE_PX = 6, 640
# As `models.measurement.quality.judge`.
APPLY_LIMITS = """
UPDATE imaging.quality AS judged
SET warn_limit = in_force.warn_limit, fail_limit = in_force.fail_limit, verdict = CASE
    WHEN value IS NULL OR isnan(value) THEN 'pass'
    WHEN direction = 'above' AND value > in_force.fail_limit OR direction = 'below' AND value < in_force.fail_limit THEN 'fail'
    WHEN direction = 'above' AND value > in_force.warn_limit OR direction = 'below' AND value < in_force.warn_limit THEN 'warn'
    ELSE 'pass'
END
FROM in_force
WHERE judged.check_name = in_force.check_name AND judged.release = $release
    AND (judged.warn_limit, judged.fail_limit) IS DISTINCT FROM (in_force.warn_limit, in_force.fail_limit)
"""


@dg.asset(**describe_table("ref.threshold"), group_name="ref", deps=[["raw", "release"]])
def threshold(warehouse: Warehouse) -> dg.MaterializeResult:
    return refill(warehouse, "ref.threshold", lambda _: pd.read_csv(THRESHOLDS))


@dg.asset(
    **describe_table("imaging.quality"),
    partitions_def=releases,
    group_name="imaging",
    deps=[["imaging", "csa_profile"], ["imaging", "muscle"], ["raw", "participant"], ["raw", "dixon_series"]],
)
def quality(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult:
    settings = load_settings()
    with warehouse.connect() as connection:
        n_rejudged = apply_limits(connection, pd.read_csv(THRESHOLDS), context.partition_key)
        cases = list_cases(connection, settings, context.partition_key)
        n_corrected = 0
        hashes = {case.image: mask_sha256 for case, mask_sha256 in cases}
        outcomes = engine.open_engine(settings).run(inspect, [case for case, _ in cases], DEADLINE_S)
        done = 0
        for batch in in_batches(outcomes):
            judged = [(outcome, hashes[outcome.case.image]) for outcome in batch]
            n_corrected += record_all(connection, judged, context.partition_key)
            done += len(batch)
            n_failed = sum(outcome.code is not None for outcome in batch)
            context.log.info(
                f"{context.partition_key}: {done} of {len(cases)} cases; of the last {len(batch)} {n_failed} failed"
            )
        connection.execute("CHECKPOINT")
        n_rows = count_rows(connection, "imaging.quality")
        worst = list_worst(connection, settings.home, context.partition_key)
    metadata = {
        "judged": len(cases),
        "judged by new limits": n_rejudged,
        "swaps_corrected": n_corrected,
        "dagster/row_count": n_rows,
    }
    if worst:
        metadata["worst_cases"] = dg.MetadataValue.md(draw_montage(worst))
    return dg.MaterializeResult(metadata=metadata)


@dg.asset(
    **describe_table("stats.exclusion_regression"),
    group_name="stats",
    deps=[["marts", "participant_state"], ["raw", "participant"], ["ref", "band"]],
)
def exclusion_regression(warehouse: Warehouse) -> dg.MaterializeResult:
    return refill(warehouse, "stats.exclusion_regression", regress_sets)


def regress_sets(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """The regression of every measured analysis set."""
    persons = connection.execute("FROM marts.eligibility ORDER BY analysis_set, participant_id").df()
    tables = [
        regress_exclusion(rows).assign(analysis_set=analysis_set)
        for analysis_set, rows in persons.groupby("analysis_set")
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def apply_limits(connection: duckdb.DuckDBPyConnection, thresholds: pd.DataFrame, release: str) -> int:
    """Judge stored values of a release again where their limits are no longer those in force; returns how many values."""
    connection.register("in_force", thresholds)
    with transaction(connection):
        (n_values,) = connection.execute(APPLY_LIMITS, {"release": release}).fetchone()
    connection.unregister("in_force")
    return n_values


def list_cases(
    connection: duckdb.DuckDBPyConnection, settings: Settings, release: str
) -> list[tuple[QualityCase, str]]:
    """The release's measured masks that were not judged yet, each with the mask's hash."""
    rows = connection.execute(
        """
        SELECT DISTINCT
            study, participant_id, visit, ledger.image_sha256, model_version, ledger.mask_sha256, sex, height_cm, weight_kg
        FROM imaging.segmentation AS ledger
        JOIN imaging.muscle AS muscle USING (study, participant_id, visit, model_version, mask_sha256)
        ANTI JOIN imaging.quality AS judged USING (study, participant_id, visit, model_version, mask_sha256)
        LEFT JOIN raw.current_participant AS person USING (study, participant_id, visit)
        WHERE status = 'done' AND model_version = $model AND muscle.release = $release
        ORDER BY ALL
        """,
        {"model": open_model(settings.model).model_version, "release": release},
    ).fetchall()
    limits = _read_limits()
    cases = []
    for study, participant_id, visit, image_sha256, model, mask_sha256, *covariates in rows:
        image = ImageCase(settings.home, study, participant_id, visit, image_sha256, 0, model, settings.device)
        cases.append((QualityCase(image, *covariates, *limits, settings.correct_swaps), mask_sha256))
    return cases


def describe_case(connection: duckdb.DuckDBPyConnection, image: ImageCase) -> QualityCase:
    """One case to be judged, whose images stay as they are."""
    covariates = connection.execute(
        "SELECT sex, height_cm, weight_kg FROM raw.current_participant WHERE (study, participant_id, visit) = (?, ?, ?)",
        [image.study, image.participant_id, image.visit],
    ).fetchone()
    return QualityCase(image, *(covariates or (None, None, None)), *_read_limits(), corrects_swaps=False)


def _read_limits() -> tuple[dict[str, Threshold], dict[str, str]]:
    """Thresholds, and label with unit, of every check."""
    registry = pd.read_csv(THRESHOLDS)
    labels = dict(zip(registry["check_name"], registry["label"] + ", " + registry["unit"].astype(str), strict=True))
    return read_thresholds(THRESHOLDS), labels


def record(connection: duckdb.DuckDBPyConnection, outcome: engine.Outcome, mask_sha256: str, release: str) -> bool:
    """Replace the case's verdicts; enter an undone swap into the manifest, which queues the case again; returns whether."""
    return record_all(connection, [(outcome, mask_sha256)], release) > 0


def record_all(connection: duckdb.DuckDBPyConnection, outcomes: list[tuple[engine.Outcome, str]], release: str) -> int:
    """`record` for some cases, each with the hash of its mask, in one transaction; returns how many swaps were undone."""
    keys, verdicts, corrected = [], [], []
    for outcome, mask_sha256 in outcomes:
        case = outcome.case.image
        key = dict(zip(KEYS, (case.study, case.participant_id, case.visit, case.model), strict=True))
        keys.append(key | {"mask_sha256": mask_sha256, "release": release})
        if outcome.code:
            checks = judge({NOT_INSPECTED: Finding(1.0, outcome.message)}, outcome.case.thresholds)
        else:
            checks = outcome.result.checks
            corrected += [(key, outcome.result.corrected)] if outcome.result.corrected else []
        verdicts.append(checks)
    with transaction(connection):
        replace_all(connection, "imaging.quality", pd.DataFrame(keys)[list(KEYS)], stack(verdicts, keys))
        for key, hashes in corrected:
            for contrast, image_sha256 in hashes.items():
                connection.execute(
                    "UPDATE raw.dixon_series SET image_sha256 = ?, is_swap_corrected = true"
                    " WHERE (study, participant_id, visit, contrast, release) = (?, ?, ?, ?, ?)",
                    [image_sha256, *list(key.values())[:3], contrast, release],
                )
    return len(corrected)


def list_worst(connection: duckdb.DuckDBPyConnection, home: Path, release: str) -> list[Path]:
    """Overlay figures of the release's most suspect cases: most failed checks, then most warnings."""
    rows = connection.execute(
        """
        SELECT study, participant_id, visit, model_version
        FROM imaging.quality
        WHERE release = ? AND verdict <> 'pass'
        GROUP BY ALL
        ORDER BY count(*) FILTER (verdict = 'fail') DESC, count(*) DESC, participant_id, visit
        LIMIT ?
        """,
        [release, N_WORST],
    ).fetchall()
    paths = [
        home / "derivatives" / study / participant_id / visit / f"{model}_overlay.webp"
        for study, participant_id, visit, model in rows
    ]
    return [path for path in paths if path.is_file()]


def draw_montage(paths: list[Path]) -> str:
    """The figures one below the other, as wide as Dagster's dialog, as a picture in Markdown."""
    tiles = []
    for path in paths:
        with Image.open(path) as figure:
            tiles.append(figure.convert("RGB").resize((TILE_PX, round(figure.height * TILE_PX / figure.width))))
    montage = Image.new("RGB", (TILE_PX, sum(tile.height for tile in tiles)))
    top = 0
    for tile in tiles:
        montage.paste(tile, (0, top))
        top += tile.height
    buffer = BytesIO()
    montage.save(buffer, "WEBP", quality=60, method=2)
    return f"![worst cases](data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()})"
