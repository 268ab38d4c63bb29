"""Normative centiles of every muscle and declared measure: one model per sex, over age and BMI and over age alone."""

import json
from dataclasses import asdict

import dagster as dg
import numpy as np
import pandas as pd

from dagster_project import engine
from dagster_project.asset_specs import describe_table
from dagster_project.case_work import NormsCase, fit_norms
from dagster_project.defs.statistics import UPSTREAM, read_values
from dagster_project.settings import load_settings
from dagster_project.warehouse import Warehouse, count_rows, insert, transaction

FIT_DEADLINE_S = 600
TABLES = ("norms.centile_model", "norms.lms", "norms.centile")


@dg.multi_asset(
    specs=[dg.AssetSpec(**describe_table(table), group_name="norms", deps=UPSTREAM) for table in TABLES],
    can_subset=False,
)
def norms(context: dg.AssetExecutionContext, warehouse: Warehouse):
    """Fit in worker processes; a measure that has no norms has a row with the reason."""
    with warehouse.connect() as connection:
        values = read_values(connection, "muscle", "declared")
        cases = [
            NormsCase(measure, sex, covariates, group[["age_years", "bmi_kg_m2", "value"]].to_numpy(float))
            for (measure, sex), group in values.groupby(["measure", "sex"])
            for covariates in ("age", "age,bmi")
        ]
        frames: dict[str, list[pd.DataFrame]] = {table: [] for table in TABLES}
        outcomes = engine.open_engine(load_settings()).run(fit_norms, cases, FIT_DEADLINE_S)
        for done, outcome in enumerate(outcomes, start=1):
            _collect(outcome, frames)
            context.log.info(f"{done} of {len(cases)} centile models, {outcome.code or 'fitted'}")
        with transaction(connection):
            for table, parts in frames.items():
                connection.execute(f"TRUNCATE {table}")
                frame = pd.concat(parts) if parts else pd.DataFrame()
                keys = [
                    key for key in ("measure", "sex", "covariates", "bmi_kg_m2", "age_years", "centile") if key in frame
                ]
                if len(frame):
                    insert(
                        connection, table, frame.assign(analysis_set=values["analysis_set"].iloc[0]).sort_values(keys)
                    )
        for table in TABLES:
            yield dg.MaterializeResult(
                asset_key=table.split("."), metadata={"dagster/row_count": count_rows(connection, table)}
            )


def _collect(outcome: engine.Outcome, frames: dict[str, list[pd.DataFrame]]) -> None:
    case: NormsCase = outcome.case
    row = {"measure": case.measure, "sex": case.sex, "covariates": case.covariates, "family": "BCCG"}
    if outcome.code:
        frames["norms.centile_model"].append(pd.DataFrame([row | {"refusal": outcome.message}]))
        return
    model, lms, centiles = outcome.result
    coefficients = json.dumps(asdict(model), default=np.ndarray.tolist, allow_nan=False)
    row |= {"n": model.n, "effective_df": model.effective_df, "deviance": model.deviance, "coefficients": coefficients}
    frames["norms.centile_model"].append(pd.DataFrame([row]))
    key = {"measure": case.measure, "sex": case.sex}
    frames["norms.lms"].append(lms.assign(**key))
    frames["norms.centile"].append(centiles.assign(**key))
