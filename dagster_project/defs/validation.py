"""Validation of the model in force on annotated cases, and what readers agree on among themselves.

Honest by construction: a case that the model was trained on is scored by the one fold that did not see it, never as a test
case, and neither is another visit of a training case's person; an annotation counts only for the very images it was checked against. A run scores what is new.
"""

from pathlib import Path

import dagster as dg
import duckdb
import pandas as pd

from dagster_project import engine
from dagster_project.asset_specs import FOLLOWS, describe_table
from dagster_project.case_work import ImageCase
from dagster_project.defs.segmentation import choose_precision
from dagster_project.defs.statistics import refill
from dagster_project.identity import Identity
from dagster_project.model_registry import register
from dagster_project.run_summary import summarise_dice
from dagster_project.settings import Settings, load_settings
from dagster_project.validation_work import ValidationCase, validate
from dagster_project.warehouse import Warehouse, count_rows, insert, transaction
from models.segmentation.inference import Model, open_model
from models.segmentation.validation import read_phantom_scores, read_splits
from models.statistics.agreement import agree

DEADLINE_S = 1800
SCORE_KEYS = (
    "study",
    "participant_id",
    "visit",
    "model_version",
    "comparison",
    "validation",
    "reader",
    "reading",
    "other_reader",
    "other_reading",
    "annotation_sha256",
    "source_sha256",
)
PAIR_KEYS = ("study", "participant_id", "visit", "model_version", "validation", "reader", "reading")

# Every mask that can be compared with a reference annotation: the first reading of its images, readers in the order of
# their codes. Readers: a later reading with the same reader's first, and other readers' first with the reference.
WANTED = """
CREATE OR REPLACE TEMP TABLE wanted AS
WITH image AS (
    SELECT
        study, participant_id, visit,
        max(image_sha256) FILTER (contrast = 'in') AS in_sha256,
        sha256(string_agg(image_sha256, '' ORDER BY list_position(['in', 'opp', 'fat', 'water'], contrast))) AS image_sha256
    FROM raw.current_dixon_series
    GROUP BY ALL
), annotation AS (
    SELECT
        study, participant_id, visit, reader, reading, annotation_sha256, annotation_path, image.image_sha256,
        bool_or(role = 'train') OVER (PARTITION BY study, participant_id) AS is_training_person,
        row_number() OVER (images ORDER BY reading, reader) = 1 AS is_reference,
        row_number() OVER (PARTITION BY study, participant_id, visit, reader ORDER BY reading) = 1 AS is_first
    FROM raw.current_annotation AS delivered
    JOIN image USING (study, participant_id, visit)
    WHERE delivered.image_sha256 = in_sha256
    WINDOW images AS (PARTITION BY study, participant_id, visit)
), reference AS (
    SELECT annotation.*, fold
    FROM annotation
    LEFT JOIN fold USING (study, participant_id, visit)
    WHERE is_reference
), automatic AS (
    SELECT
        study, participant_id, visit, $model AS model_version, 'out_of_fold' AS validation, reader, reading,
        annotation_sha256, annotation_path, image_sha256, image_sha256 AS source_sha256, NULL::VARCHAR AS tested_path, fold
    FROM reference
    WHERE fold IS NOT NULL
    UNION ALL BY NAME
    SELECT
        study, participant_id, visit, model_version, 'test' AS validation, reader, reading,
        annotation_sha256, annotation_path, image_sha256, mask_sha256 AS source_sha256, mask_path AS tested_path
    FROM reference
    JOIN imaging.segmentation AS ledger USING (study, participant_id, visit, image_sha256)
    WHERE fold IS NULL AND NOT is_training_person AND status = 'done' AND model_version = $model
), readers AS (
    SELECT
        first.*, if(first.reader = other.reader, 'intra_reader', 'inter_reader') AS comparison,
        other.reader AS other_reader, other.reading AS other_reading,
        other.annotation_sha256 AS source_sha256, other.annotation_path AS tested_path
    FROM annotation AS first
    JOIN annotation AS other USING (study, participant_id, visit)
    WHERE (first.is_first AND first.reader = other.reader AND NOT other.is_first)
        OR (first.is_reference AND first.reader <> other.reader AND other.is_first)
)
SELECT *, 'automatic' AS comparison FROM automatic
UNION ALL BY NAME
SELECT * EXCLUDE (is_training_person, is_reference, is_first) FROM readers;
"""
SAME = " AND ".join(f"wanted.{key} IS NOT DISTINCT FROM score.{key}" for key in SCORE_KEYS)
# Scores of other models stay while the annotation they rest on does, those of phantoms always.
PHANTOM_TRUTH = "phantom truth"
DELETE_OUTDATED = f"""
DELETE FROM imaging.segmentation_score AS score
WHERE NOT EXISTS (FROM wanted WHERE {SAME}) AND reader <> '{PHANTOM_TRUTH}'
    AND (coalesce(model_version, $model) = $model OR annotation_sha256 NOT IN (SELECT annotation_sha256 FROM wanted));
DELETE FROM imaging.agreement_pair AS pair
WHERE NOT EXISTS (
    FROM imaging.segmentation_score AS score
    WHERE {" AND ".join(f"score.{key} = pair.{key}" for key in PAIR_KEYS)}
);
"""
NEW = f"""
FROM wanted
WHERE NOT EXISTS (FROM imaging.segmentation_score AS score WHERE {SAME})
ORDER BY fold NULLS FIRST, study, participant_id, visit, comparison, reader, reading, other_reader, other_reading
"""


DICE = """
SELECT validation, compartment, side, dice
FROM imaging.segmentation_score
WHERE comparison = 'automatic' AND model_version = $model
"""


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            **describe_table(f"imaging.{table}"),
            group_name="validation",
            deps=[["raw", "annotation"], ["raw", "dixon_series"], ["imaging", "segmentation"]],
        ).replace_attributes(automation_condition=FOLLOWS)
        for table in ("segmentation_score", "agreement_pair")
    ],
    can_subset=False,
)
def validation(context: dg.AssetExecutionContext, warehouse: Warehouse):
    """Compare what is new: the model's masks with reference annotations, later readings and other readers with the first."""
    settings = load_settings()
    model, workers = open_model(settings.model), engine.open_engine(settings)
    with warehouse.connect() as connection:
        register(connection, model)
        store_phantom_scores(connection, model)
        rows = list_new(connection, model, settings)
        unseen = [_as_image(row, settings) for row in rows if row["fold"] is not None]
        precision = choose_precision(connection, workers, model.model_version, unseen)
        cases = {_as_case(row, settings, precision): row for row in rows}
        n_failed = 0
        outcomes = workers.run(validate, cases, DEADLINE_S)
        for done, outcome in enumerate(outcomes, start=1):
            if outcome.code:
                n_failed += 1
            else:
                _store(connection, cases[outcome.case], outcome.result.scores, outcome.result.pairs)
            context.log.info(f"{done} of {len(cases)} comparisons, {outcome.code or 'scored'}")
        counts = {"scored": len(cases) - n_failed, "failed": n_failed, "outdated": _count_outdated(connection)}
        dice = connection.execute(DICE, {"model": model.model_version}).df()
        counts |= summarise_dice(dice)
        for table in ("segmentation_score", "agreement_pair"):
            n_rows = count_rows(connection, f"imaging.{table}")
            yield dg.MaterializeResult(asset_key=["imaging", table], metadata=counts | {"dagster/row_count": n_rows})


def list_new(connection: duckdb.DuckDBPyConnection, model: Model, settings: Settings) -> list[dict]:
    """Forget scores whose masks or annotations are no longer in force; return the comparisons that have none."""
    connection.register("fold", find_folds(connection, model, settings))
    connection.execute(WANTED, {"model": model.model_version})
    connection.unregister("fold")
    with transaction(connection):
        for statement in DELETE_OUTDATED.split(";\n")[:-1]:
            parameters = {"model": model.model_version} if "$model" in statement else {}
            connection.execute(statement, parameters)
    new = connection.execute(NEW)
    columns = [column[0] for column in new.description]
    return [dict(zip(columns, row, strict=True)) for row in new.fetchall()]


def find_folds(connection: duckdb.DuckDBPyConnection, model: Model, settings: Settings) -> pd.DataFrame:
    """study, participant_id, visit, fold of the annotated cases that a model was trained on; fold: the one that did not see it."""
    folds, key = read_splits(model), settings.resolve_secret_key()
    cases = connection.execute("SELECT DISTINCT study, participant_id, visit FROM raw.current_annotation").df()
    names = [
        Identity(case.study, key, settings.hash_pseudonyms).case_name(case.participant_id, case.visit)
        for case in cases.itertuples()
    ]
    return cases.assign(fold=pd.Series([folds.get(name) for name in names], dtype="Int64")).dropna()


def store_phantom_scores(connection: duckdb.DuckDBPyConnection, model: Model) -> None:
    """Enter, once, the out-of-fold scores that a model trained on phantoms brings along."""
    is_known = connection.execute(
        "SELECT count(*) FROM imaging.segmentation_score WHERE model_version = ? AND reader = ?",
        [model.model_version, PHANTOM_TRUTH],
    ).fetchone()[0]
    scores = read_phantom_scores(model)
    if is_known or scores.empty:
        return
    key = {"study": "synthetic", "visit": "phantom", "model_version": model.model_version}
    key |= {"comparison": "automatic", "validation": "out_of_fold", "reader": PHANTOM_TRUTH, "reading": 1}
    key |= {"annotation_sha256": model.manifest_sha256, "source_sha256": model.manifest_sha256}
    rows = scores.rename(columns={"case": "participant_id"}).drop(columns=["fold", "exchanged_side_pct"])
    if "hd95_mm" not in rows:
        rows = rows.assign(reason="The model's folder holds the Dice coefficient alone.")
    insert(connection, "imaging.segmentation_score", rows.assign(**key))


def _as_image(row: dict, settings: Settings, precision: str = "float32") -> ImageCase:
    key = (row["study"], row["participant_id"], row["visit"], row["image_sha256"])
    return ImageCase(settings.home, *key, 0, settings.model, settings.device, precision, threads=settings.threads)


def _as_case(row: dict, settings: Settings, precision: str) -> ValidationCase:
    return ValidationCase(
        image=_as_image(row, settings, precision),
        annotation_path=Path(row["annotation_path"]),
        tested_path=Path(row["tested_path"]) if row["tested_path"] else None,
        is_measured=row["comparison"] == "automatic",
        fold=row["fold"],
    )


def _store(connection: duckdb.DuckDBPyConnection, row: dict, scores: pd.DataFrame, pairs: pd.DataFrame) -> None:
    with transaction(connection):
        insert(connection, "imaging.segmentation_score", scores.assign(**{key: row[key] for key in SCORE_KEYS}))
        insert(connection, "imaging.agreement_pair", pairs.assign(**{key: row[key] for key in PAIR_KEYS}))


def _count_outdated(connection: duckdb.DuckDBPyConnection) -> int:
    """Annotations that were drawn on other images than those in force."""
    return connection.execute(
        "SELECT count(*) FROM raw.current_annotation ANTI JOIN raw.current_dixon_series AS image"
        " USING (study, participant_id, visit, image_sha256)"
    ).fetchone()[0]


@dg.asset(
    **describe_table("stats.agreement"), group_name="stats", deps=[["imaging", "agreement_pair"], ["ref", "measure"]]
)
def agreement(warehouse: Warehouse) -> dg.MaterializeResult:
    return refill(warehouse, "stats.agreement", compute_agreement)


def compute_agreement(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Bland-Altman of the pairs, each person at the first annotated visit."""
    pairs = connection.execute(
        """
        SELECT study, model_version, validation, measure, unit, automatic, manual
        FROM imaging.agreement_pair
        JOIN ref.measure USING (measure)
        QUALIFY row_number() OVER (
            PARTITION BY study, participant_id, model_version, validation, measure
            ORDER BY try_cast(visit AS INTEGER) NULLS LAST, visit
        ) = 1
        ORDER BY ALL
        """
    ).df()
    return agree(pairs, ["study", "model_version", "validation", "measure", "unit"])
