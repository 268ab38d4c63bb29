"""A warehouse of the study's size: 27,805 synthetic participants with profiles at NAKO's 3 mm, about 10 million rows.

What belongs here: what the benchmarks of the warehouse share. Everything runs on two threads.
"""

import json
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from dagster_project.catalog import SQL, compile_catalog
from dagster_project.defs import statistics
from dagster_project.statistics_input import RANKED
from dagster_project.warehouse import declare_schema, insert, transaction
from models.statistics.association import correlate, regress
from models.statistics.descriptive import band_percentiles, describe
from models.statistics.synthetic import MEASURES, simulate_cohort, simulate_profiles

LEVELS = 90
THREADS = 2


@contextmanager
def open_full_cohort() -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """A warehouse file with raw data and profiles, in a folder that goes with it."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with duckdb.connect(str(home / "cohort.duckdb"), config={"threads": THREADS}) as connection:
            connection.execute("SET VARIABLE code_version = 'benchmark'")
            declare_schema(connection)
            _load(connection)
            connection.execute("CHECKPOINT")
            yield connection, home


def _load(connection: duckdb.DuckDBPyConnection) -> None:
    cohort = simulate_cohort(1)
    bmi = cohort["weight_kg"] / (cohort["height_cm"] / 100) ** 2
    connection.register("people", cohort.drop(columns=list(MEASURES)).assign(bmi_kg_m2=bmi))
    connection.register("measured", cohort.melt(["participant_id", "visit"], list(MEASURES), "measure", "value"))
    connection.register("profiles", simulate_profiles(cohort, 1, LEVELS))
    connection.execute(
        f"""
        INSERT INTO raw.release VALUES ('r', 'synthetic', 1, 'f', false, NULL, '2026-01-01');
        INSERT INTO raw.participant BY NAME SELECT *, 'synthetic' AS study, 'r' AS release FROM people;
        INSERT INTO raw.measurement BY NAME SELECT *, 'synthetic' AS study, 'r' AS release FROM measured;
        INSERT INTO imaging.csa_profile BY NAME
        SELECT *, 'synthetic' AS study, 'imported' AS model_version, 100 * (slice_index + 0.5) / {LEVELS} AS position_pct, 'r' AS release
        FROM profiles;
        INSERT INTO ref.measure BY NAME FROM read_csv('{SQL}/ref/measure.csv');
        INSERT INTO ref.analysis_set VALUES ('synthetic', 'synthetic', 'imported', 'imported', true);
        """
    )
    for name in ("people", "measured", "profiles"):
        connection.unregister(name)


def fill_everything(connection: duckdb.DuckDBPyConnection) -> dict[str, float]:
    """Fill every table of ref, raw, marts and stats as the assets do; returns seconds by table."""
    seconds = {}
    derived = {
        name: table for name, table in compile_catalog().tables.items() if table.query and table.schema != "scores"
    }
    for is_stats in (False, True):
        if is_stats:
            started = time.perf_counter()
            _fill_statistics(connection)
            seconds["python statistics"] = time.perf_counter() - started
        for name, table in derived.items():
            if (table.schema == "stats") == is_stats and table.schema != "norms":
                started = time.perf_counter()
                with transaction(connection):
                    connection.execute(f"TRUNCATE {name}")
                    connection.execute(f"INSERT INTO {name} BY NAME {table.query}")
                seconds[name] = time.perf_counter() - started
    return seconds


def _fill_statistics(connection: duckdb.DuckDBPyConnection) -> None:
    values = statistics.read_values(connection, *RANKED)
    models = connection.execute("SELECT model, terms FROM ref.regression_model").df()
    result = regress(values, models)
    for table, frame in (
        ("stats.descriptive", describe(statistics.read_values(connection, *RANKED, "covariate"))),
        ("stats.band_percentile", band_percentiles(values)),
        ("stats.correlation", correlate(values)),
        ("stats.regression", result.coefficients),
        ("stats.regression_test", result.tests),
        ("stats.regression_fit", result.fits),
    ):
        with transaction(connection):
            connection.execute(f"TRUNCATE {table}")
            insert(connection, table, frame.assign(analysis_set="synthetic"))


def peak_mb() -> float:
    """Largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def report(figure: str, value: float, unit: str) -> None:
    """Print the line of JSON."""
    print(json.dumps({"figure": figure, "value": round(value, 3), "unit": unit}))
