"""A synthetic cohort in a warehouse, its tables filled as the assets fill them, without Dagster and without norms."""

import duckdb
import pandas as pd

from dagster_project.catalog import SQL, compile_catalog
from dagster_project.defs import statistics
from dagster_project.statistics_input import RANKED
from dagster_project.warehouse import declare_schema, insert, transaction
from models.statistics.association import correlate, regress
from models.statistics.descriptive import band_percentiles, describe
from models.statistics.synthetic import MEASURES
from tests.warehouse.conftest import refill

LEVELS = 20


def take_in(
    connection: duckdb.DuckDBPyConnection,
    cohort: pd.DataFrame,
    profiles: pd.DataFrame,
    measures: tuple[str, ...] = tuple(MEASURES),
) -> None:
    """Declare the schema and load the cohort with its measures and profiles (of `LEVELS`) as one release."""
    connection.execute("SET VARIABLE code_version = 'abc'")
    with transaction(connection):
        declare_schema(connection)
    bmi = cohort["weight_kg"] / (cohort["height_cm"] / 100) ** 2
    frames = {
        "people": cohort.drop(columns=list(MEASURES)).assign(bmi_kg_m2=bmi),
        "measured": cohort.melt(["participant_id", "visit"], list(measures), "measure", "value"),
        "profiles": profiles,
    }
    for name, frame in frames.items():
        connection.register(name, frame)
    connection.execute(
        f"""
        INSERT INTO raw.release VALUES ('r', 'synthetic', 1, 'fingerprint', false, NULL, '2026-01-01');
        INSERT INTO raw.participant BY NAME SELECT *, 'synthetic' AS study, 'r' AS release FROM people;
        INSERT INTO raw.measurement BY NAME SELECT *, 'synthetic' AS study, 'r' AS release FROM measured;
        INSERT INTO imaging.csa_profile BY NAME
        SELECT *, 'synthetic' AS study, 'imported' AS model_version, 100 * (slice_index + 0.5) / {LEVELS} AS position_pct, 'r' AS release FROM profiles;
        INSERT INTO ref.measure BY NAME FROM read_csv('{SQL}/ref/measure.csv');
        INSERT INTO ref.analysis_set VALUES ('synthetic', 'synthetic', 'imported', 'imported', true);
        """
    )


def fill_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Fill every derived table, and the statistics."""
    derived = [name for name, table in compile_catalog().tables.items() if table.query]
    refill(connection, *(name for name in derived if name.split(".")[0] in ("ref", "raw", "marts")))
    _fill_statistics(connection)
    refill(connection, *(name for name in derived if name.split(".")[0] == "stats"))


def _fill_statistics(connection: duckdb.DuckDBPyConnection) -> None:
    """What the assets of defs/statistics.py do."""
    values = statistics.read_values(connection, *RANKED)
    everything = statistics.read_values(connection, *RANKED, "covariate")
    models = connection.execute("SELECT model, terms FROM ref.regression_model").df()
    units = dict(connection.execute("SELECT measure, unit FROM ref.measure").fetchall())
    result = regress(values, models)
    for table, frame in (
        ("stats.descriptive", describe(everything)),
        ("stats.band_percentile", band_percentiles(values)),
        ("stats.correlation", correlate(values)),
        ("stats.regression", statistics.with_units(result.coefficients, units)),
        ("stats.regression_test", result.tests),
        ("stats.regression_fit", result.fits),
    ):
        connection.execute(f"TRUNCATE {table}")
        insert(connection, table, frame.assign(analysis_set="synthetic"))
