"""Normative centiles of every muscle and declared measure, with their validation: one model per sex, over age and BMI and
over age alone.
"""

from collections import defaultdict
from collections.abc import Iterator

import dagster as dg
import duckdb
import pandas as pd

from dagster_project import engine
from dagster_project.asset_specs import describe_table
from dagster_project.code_version import hash_code
from dagster_project.defs.statistics import UPSTREAM
from dagster_project.norms_work import NormsCase, fit_norms
from dagster_project.settings import load_settings
from dagster_project.statistics_input import RANKED, read_values
from dagster_project.warehouse import Warehouse, count_rows, insert, transaction
from models.statistics import calibration, norm_table

FIT_DEADLINE_S = 600
TABLES = (
    "norms.centile_model",
    "norms.lms",
    "norms.centile",
    "norms.shift",
    "norms.worm",
    "norms.q_statistic",
    "norms.coverage",
    "norms.pinball_loss",
    "norms.family",
)
MODEL = ["measure", "sex", "covariates"]
SORTED_BY = [*MODEL, "family", "comparison", "bmi_kg_m2", "age_years", "age_band", "bmi_band", "centile", "z"]


@dg.multi_asset(
    specs=[dg.AssetSpec(**describe_table(table), group_name="norms", deps=UPSTREAM) for table in TABLES],
    can_subset=False,
)
def norms(context: dg.AssetExecutionContext, warehouse: Warehouse):
    """Fit in worker processes; a measure that has no norms has a row with the reason."""
    with warehouse.connect() as connection:
        cases = list(_list_cases(connection))
        frames: dict[str, list[pd.DataFrame]] = defaultdict(list)
        outcomes = engine.open_engine(load_settings()).run(
            fit_norms, cases, FIT_DEADLINE_S, environment={"OMP_NUM_THREADS": "1"}
        )
        for done, outcome in enumerate(outcomes, start=1):
            _collect(outcome, frames)
            context.log.info(f"{done} of {len(cases)} centile models, {outcome.code or 'fitted'}")
        if frames["norms.lms"]:
            frames["norms.shift"].append(_compare_with_last(pd.concat(frames["norms.lms"])))
        _store(connection, frames)
        for table in TABLES:
            yield dg.MaterializeResult(
                asset_key=table.split("."), metadata={"dagster/row_count": count_rows(connection, table)}
            )


def _list_cases(connection: duckdb.DuckDBPyConnection) -> Iterator[NormsCase]:
    ranges = connection.execute("SELECT measure, plausible_low, plausible_high FROM ref.measure").df()
    plausible = ranges.dropna().set_index("measure")
    for (measure, sex), people in read_values(connection, *RANKED).groupby(["measure", "sex"]):
        limits = tuple(plausible.loc[measure]) if measure in plausible.index else None
        for covariates in ("age", "age,bmi"):
            yield NormsCase(measure, sex, covariates, people, limits)


def _collect(outcome: engine.Outcome, frames: dict[str, list[pd.DataFrame]]) -> None:
    case: NormsCase = outcome.case
    key = {
        "analysis_set": case.people["analysis_set"].iloc[0],
        "measure": case.measure,
        "sex": case.sex,
        "covariates": case.covariates,
    }
    if outcome.code:
        frames["norms.centile_model"].append(pd.DataFrame([key | {"family": "BCCG", "refusal": outcome.message}]))
        return
    for table, rows in outcome.result.items():
        if len(rows):
            frames[table].append(rows.assign(**key))
    frames["norms.centile_model"][-1]["family"] = "BCCG"


def _compare_with_last(lms: pd.DataFrame) -> pd.DataFrame:
    """Shift of each model against the newest snapshot's; empty where there is none yet."""
    published = (load_settings().snapshots / "current" / "normative.duckdb").resolve()
    if not published.is_file():
        return pd.DataFrame()
    with duckdb.connect(str(published), read_only=True) as snapshot:
        last = snapshot.execute(
            "SELECT *, if(bmi_kg_m2 IS NULL, 'age', 'age,bmi') AS covariates FROM norms.lms WHERE m IS NOT NULL"
        ).df()
    if last.empty:
        return pd.DataFrame()
    shift = norm_table.compare(last, lms, MODEL)
    former = f"{published.parent.name}: {last['analysis_set'].iloc[0]}"
    return shift.assign(comparison="last publication", former=former, analysis_set=lms["analysis_set"].iloc[0])


def _store(connection: duckdb.DuckDBPyConnection, frames: dict[str, list[pd.DataFrame]]) -> None:
    with transaction(connection):
        for table in TABLES:
            connection.execute(f"TRUNCATE {table}")
            parts = [part for part in frames[table] if len(part)]
            if not parts:
                continue
            rows = pd.concat(parts)
            if table == "norms.coverage":
                rows["p_holm"] = calibration.holm(rows["p"].to_numpy())
            if table == "norms.centile_model":
                rows["code_version"] = hash_code()
            rows = rows.sort_values([column for column in SORTED_BY if column in rows])
            if table in ("norms.lms", "norms.centile"):
                rows = rows.drop(columns="covariates")
            insert(connection, table, rows)
