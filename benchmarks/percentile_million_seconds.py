"""Percentiles from the published tables: 1,000,000 persons in plain SQL, and one person as the dashboard asks.

Norms of a synthetic cohort of full size. Run on an idle machine: ``python -m benchmarks.percentile_million_seconds``.
"""

import json
import time

import duckdb
import numpy as np
import pandas as pd

from dagster_project.catalog import PUBLIC_SCHEMAS
from dagster_project.warehouse import declare_schema, insert
from dashboard import percentiles
from models.statistics.box_cox import percentile_of
from models.statistics.norm_table import lms_grid, support
from models.statistics.normative import CentileModel, fit
from models.statistics.synthetic import simulate_cohort

PERSONS = 1_000_000
MEASURE, SEX = "csa_psoas_total_cm2", "F"
ROUNDS = 3


def publish_norms(connection: duckdb.DuckDBPyConnection) -> CentileModel:
    """Fill norms.lms with the norms of women; returns their model."""
    women = simulate_cohort(1).query("sex == @SEX").dropna(subset=["height_cm", "weight_kg"])
    age, bmi = women["age_years"].to_numpy(), (women["weight_kg"] / (women["height_cm"] / 100) ** 2).to_numpy()
    model = fit(age, bmi, women["csa_psoas_left_cm2"] + women["csa_psoas_right_cm2"])
    grid = lms_grid(model, support(age, bmi))
    declare_schema(connection, PUBLIC_SCHEMAS)
    insert(connection, "norms.lms", grid.assign(analysis_set="synthetic", measure=MEASURE, sex=SEX))
    return model


def draw_persons() -> pd.DataFrame:
    """A million women."""
    rng = np.random.default_rng(1)
    age, bmi = rng.uniform(25, 70, PERSONS), rng.uniform(20, 32, PERSONS)
    columns = {"age_years": age, "bmi_kg_m2": bmi, "value": rng.normal(24, 3.5, PERSONS).clip(5)}
    return pd.DataFrame({"measure": MEASURE, "sex": SEX} | columns)


def time_one(grid: pd.DataFrame) -> float:
    """Seconds for one person from the rows of a measure and sex."""
    began = time.perf_counter()
    for _ in range(1000):
        lms = percentiles.interpolate(grid, 54.3, 27.1)
        percentiles.percentile(percentiles.z_score(22.5, lms))
    return (time.perf_counter() - began) / 1000


def main() -> None:
    """Print both times; the million must equal the model."""
    with duckdb.connect() as connection:
        model = publish_norms(connection)
        connection.register("persons", draw_persons())
        connection.execute("CREATE TABLE person AS FROM persons")
        query = "SELECT *, percentile(measure, sex, age_years, bmi_kg_m2, value) AS percentile_pct FROM person"
        times = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            connection.execute(f"CREATE OR REPLACE TABLE scored AS {query}")
            times.append(time.perf_counter() - began)
        some = connection.execute("FROM scored LIMIT 2000").df()
        error = some["percentile_pct"] - percentile_of(model, some["age_years"], some["bmi_kg_m2"], some["value"])
        print(
            f"all rounds {[round(t, 2) for t in times]} s; largest difference to the model {error.abs().max():.3f} points"
        )
        grid = connection.execute("SELECT age_years, bmi_kg_m2, l, m, s FROM norms.lms").df()
        print(json.dumps({"figure": "percentile_one_ms", "value": round(1000 * time_one(grid), 3), "unit": "ms"}))
        value = round(min(times), 2)
        print(json.dumps({"figure": "percentile_million_seconds", "value": value, "unit": "s"}))


if __name__ == "__main__":
    main()
