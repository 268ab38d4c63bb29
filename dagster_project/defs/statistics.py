"""The pinned analysis set and the cohort statistics of it, each table by a function of `models.statistics`."""

from collections.abc import Callable

import dagster as dg
import duckdb
import pandas as pd

from dagster_project.asset_specs import describe_table
from dagster_project.catalog import SQL
from dagster_project.settings import load_settings
from dagster_project.warehouse import Warehouse, count_rows, insert, transaction
from models.statistics import participants
from models.statistics.association import correlate, regress
from models.statistics.descriptive import band_percentiles, describe

UPSTREAM = [["ref", "analysis_set"], ["ref", "measure"], ["marts", "muscle_phenotype"], ["marts", "phenotype_value"]]


def refill(
    warehouse: Warehouse, table: str, compute: Callable[[duckdb.DuckDBPyConnection], pd.DataFrame]
) -> dg.MaterializeResult:
    """Replace a table's content by a computed frame."""
    with warehouse.connect() as connection:
        frame = compute(connection)
        with transaction(connection):
            connection.execute(f"TRUNCATE {table}")
            insert(connection, table, frame)
        return dg.MaterializeResult(metadata={"dagster/row_count": count_rows(connection, table)})


def read_values(connection: duckdb.DuckDBPyConnection, *kinds: str) -> pd.DataFrame:
    """One row per person and measure of the analysis set, at the person's first analysed visit, with covariates, bands and quality."""
    return connection.execute(
        """
        SELECT
            analysis_set, measure, value,
            person.sex, person.age_years, person.height_cm, person.weight_kg, person.bmi_kg_m2, person.age_band, person.bmi_band,
            EXISTS (
                FROM imaging.quality AS quality
                WHERE quality.verdict = 'warn' AND (quality.study, quality.participant_id, quality.visit, quality.model_version)
                    = (person.study, person.participant_id, person.visit, person.model_version)
            ) AS is_warned
        FROM marts.phenotype_value
        JOIN ref.analysis_set USING (study, source, model_version)
        JOIN marts.muscle_phenotype AS person USING (study, participant_id, visit, source, model_version)
        JOIN ref.measure USING (measure)
        WHERE person.is_first_visit AND list_contains($kinds, kind)
        ORDER BY measure, participant_id
        """,
        {"kinds": list(kinds)},
    ).df()


@dg.asset(**describe_table("ref.measure"), group_name="ref", deps=[["raw", "release"]])
def measure(warehouse: Warehouse) -> dg.MaterializeResult:
    return refill(warehouse, "ref.measure", _list_measures)


def _list_measures(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """The built-in measures, and those that registered releases declare; built-in names cannot be redefined."""
    frames = [pd.read_csv(SQL / "ref" / "measure.csv")]
    for (release,) in connection.execute("SELECT release FROM raw.release ORDER BY registration DESC").fetchall():
        path = load_settings().releases / release / "measures.csv"
        if path.is_file():
            frames.append(participants.read_measures(path).rows.assign(kind="declared"))
    return pd.concat(frames).drop_duplicates("measure")


@dg.asset(**describe_table("ref.analysis_set"), group_name="ref", deps=[["marts", "muscle_phenotype"]])
def analysis_set(warehouse: Warehouse) -> dg.MaterializeResult:
    return refill(warehouse, "ref.analysis_set", pin_analysis_set)


def pin_analysis_set(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """The set in force; where there is none, that of the newest snapshot; before the first, the one with most persons."""
    pinned = connection.execute("SELECT study, source, model_version FROM ref.analysis_set").fetchone()
    published = load_settings().snapshots / "current" / "normative.duckdb"
    if not pinned and published.is_file():
        with duckdb.connect(str(published.resolve()), read_only=True) as snapshot:
            pinned = snapshot.execute("SELECT study, source, model_version FROM ref.analysis_set").fetchone()
    if not pinned:
        pinned = connection.execute(
            "SELECT study, source, model_version FROM marts.muscle_phenotype GROUP BY ALL"
            " ORDER BY count(DISTINCT participant_id) DESC, study, source, model_version LIMIT 1"
        ).fetchone()
    if not pinned:
        return pd.DataFrame()
    study, source, model_version = pinned
    row = {"study": study, "source": source, "model_version": model_version, "is_synthetic": study == "synthetic"}
    return pd.DataFrame([{"analysis_set": " / ".join(pinned), **row}])


@dg.asset(**describe_table("stats.descriptive"), group_name="stats", deps=UPSTREAM)
def descriptive(warehouse: Warehouse) -> dg.MaterializeResult:
    return refill(warehouse, "stats.descriptive", lambda c: _compute(c, describe, "muscle", "declared", "covariate"))


@dg.asset(**describe_table("stats.band_percentile"), group_name="stats", deps=UPSTREAM)
def band_percentile(warehouse: Warehouse) -> dg.MaterializeResult:
    return refill(warehouse, "stats.band_percentile", lambda c: _compute(c, band_percentiles, "muscle", "declared"))


@dg.asset(**describe_table("stats.correlation"), group_name="stats", deps=UPSTREAM)
def correlation(warehouse: Warehouse) -> dg.MaterializeResult:
    return refill(warehouse, "stats.correlation", lambda c: _compute(c, correlate, "muscle", "declared"))


@dg.asset(**describe_table("stats.regression"), group_name="stats", deps=[*UPSTREAM, ["ref", "regression_model"]])
def regression(warehouse: Warehouse) -> dg.MaterializeResult:
    def regress_on_models(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
        models = connection.execute("SELECT model, terms FROM ref.regression_model ORDER BY model").df()
        return _compute(connection, lambda values: regress(values, models), "muscle", "declared")

    return refill(warehouse, "stats.regression", regress_on_models)


def _compute(
    connection: duckdb.DuckDBPyConnection, statistic: Callable[[pd.DataFrame], pd.DataFrame], *kinds: str
) -> pd.DataFrame:
    values = read_values(connection, *kinds)
    return statistic(values).assign(analysis_set=values["analysis_set"].iloc[0]) if len(values) else pd.DataFrame()
