"""The pinned analysis set and the cohort statistics of it, each table by a function of `models.statistics`."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import dagster as dg
import duckdb
import pandas as pd

from dagster_project.asset_specs import describe_table
from dagster_project.catalog import SQL
from dagster_project.settings import load_settings
from dagster_project.statistics_input import RANKED, read_values
from dagster_project.warehouse import Warehouse, count_rows, insert, transaction
from models.statistics import participants
from models.statistics.association import correlate, regress
from models.statistics.descriptive import band_percentiles, describe

REGRESSION_TABLES = ("stats.regression", "stats.regression_test", "stats.regression_fit")
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


@dg.asset(**describe_table("ref.measure"), group_name="ref", deps=[["raw", "release"]])
def measure(warehouse: Warehouse) -> dg.MaterializeResult:
    return refill(warehouse, "ref.measure", _list_measures)


def _list_measures(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """The built-in measures, and those that registered releases declare; built-in names cannot be redefined."""
    frames = [pd.read_csv(SQL / "ref" / "measure.csv")]
    for (release,) in connection.execute("SELECT release FROM raw.release ORDER BY registration DESC").fetchall():
        folder = load_settings().releases / release
        for path in filter(Path.is_file, (folder / "measures.csv", folder / "measures.parquet")):
            with suppress(participants.UnreadableTable):  # the intake of the release has said so
                frames.append(participants.read_measures(path).rows.assign(kind="declared"))
    return pd.concat(frames).drop_duplicates("measure")


@dg.asset(**describe_table("ref.acceptance"), group_name="ref", deps=[["raw", "release"]])
def acceptance(warehouse: Warehouse) -> dg.MaterializeResult:
    return refill(warehouse, "ref.acceptance", lambda _: _list_acceptances())


def _list_acceptances() -> pd.DataFrame:
    path = load_settings().acceptances_file
    if not path.is_file():
        return pd.DataFrame()
    lines = pd.DataFrame([json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()])
    return lines.assign(accepted_at=pd.to_datetime(lines["accepted_at"]).dt.tz_localize(None))


@dg.asset(**describe_table("ref.analysis_set"), group_name="ref", deps=[["marts", "muscle_phenotype"]])
def analysis_set(warehouse: Warehouse) -> dg.MaterializeResult:
    return refill(warehouse, "ref.analysis_set", pin_analysis_set)


def pin_analysis_set(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """The set in force; where there is none, that of the newest snapshot; before the first, the one with most persons.

    A promoted model takes the place of the former when it has seen every case of the set.
    """
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
    study, source, model_version = pinned = _follow_promotion(connection, pinned)
    row = {"study": study, "source": source, "model_version": model_version, "is_synthetic": study == "synthetic"}
    return pd.DataFrame([{"analysis_set": " / ".join(pinned), **row}])


def _follow_promotion(connection: duckdb.DuckDBPyConnection, pinned: tuple[str, str, str]) -> tuple[str, str, str]:
    study, source, model_version = pinned
    promotions = load_settings().read_promotions()
    if source != "measured" or not promotions or promotions[-1]["model_version"] == model_version:
        return pinned
    promoted = promotions[-1]["model_version"]
    (n_unseen,) = connection.execute(
        """
        SELECT count(*)
        FROM imaging.segmentation AS former
        ANTI JOIN (FROM imaging.segmentation WHERE model_version = $promoted) AS ledger USING (study, participant_id, visit)
        WHERE study = $study AND model_version = $former AND status = 'done'
        """,
        {"study": study, "former": model_version, "promoted": promoted},
    ).fetchone()
    return pinned if n_unseen else (study, source, promoted)


@dg.asset(**describe_table("stats.descriptive"), group_name="stats", deps=UPSTREAM)
def descriptive(warehouse: Warehouse) -> dg.MaterializeResult:
    return refill(warehouse, "stats.descriptive", lambda c: _compute(c, describe, *RANKED, "covariate"))


@dg.asset(**describe_table("stats.band_percentile"), group_name="stats", deps=UPSTREAM)
def band_percentile(warehouse: Warehouse) -> dg.MaterializeResult:
    return refill(warehouse, "stats.band_percentile", lambda c: _compute(c, band_percentiles, *RANKED))


@dg.asset(**describe_table("stats.correlation"), group_name="stats", deps=UPSTREAM)
def correlation(warehouse: Warehouse) -> dg.MaterializeResult:
    return refill(warehouse, "stats.correlation", lambda c: _compute(c, correlate, *RANKED))


@dg.multi_asset(
    specs=[
        dg.AssetSpec(**describe_table(table), group_name="stats", deps=[*UPSTREAM, ["ref", "regression_model"]])
        for table in REGRESSION_TABLES
    ],
    can_subset=False,
)
def regression(warehouse: Warehouse):
    """Fit every model of ref.regression_model once: coefficients, joint tests, residuals."""
    with warehouse.connect() as connection:
        models = connection.execute("SELECT model, terms FROM ref.regression_model ORDER BY model").df()
        values = read_values(connection, *RANKED)
        units = dict(connection.execute("SELECT measure, unit FROM ref.measure").fetchall())
    result = regress(values, models)
    frames = dict(
        zip(REGRESSION_TABLES, (with_units(result.coefficients, units), result.tests, result.fits), strict=True)
    )
    for table, frame in frames.items():
        written = refill(warehouse, table, lambda _, frame=frame: _of_set(frame, values))
        yield dg.MaterializeResult(asset_key=table.split("."), metadata=written.metadata)


def with_units(coefficients: pd.DataFrame, units: dict[str, str]) -> pd.DataFrame:
    """Coefficients with the unit of their estimate: that of the measure, per unit of each covariate of the term."""

    def unit_of(measure: str, term: str) -> str:
        covariates = [name for name in term.split(":") if name in units] if "against" not in term else []
        return " per ".join([units[measure], *(units[name] for name in covariates)])

    unit = [unit_of(row.measure, row.term) for row in coefficients.itertuples()]
    return coefficients.assign(unit=pd.Series(unit, index=coefficients.index, dtype=str))


def _compute(
    connection: duckdb.DuckDBPyConnection, statistic: Callable[[pd.DataFrame], pd.DataFrame], *kinds: str
) -> pd.DataFrame:
    values = read_values(connection, *kinds)
    return _of_set(statistic(values), values)


def _of_set(frame: pd.DataFrame, values: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(analysis_set=values["analysis_set"].iloc[0]) if len(frame) else pd.DataFrame()
