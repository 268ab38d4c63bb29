"""What a worker returns for one measure in one sex goes into the tables of schema norms."""

import numpy as np
import pandas as pd
import pytest

from dagster_project.catalog import compile_catalog
from dagster_project.norms_work import NormsCase, fit_norms
from models.statistics.box_cox import value_at


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    """Six hundred persons; quality control warned about forty, whose values are 20 % too high."""
    rng = np.random.default_rng(4)
    age, bmi = rng.uniform(20, 70, 600), rng.normal(26, 4, 600).clip(16, 45)
    is_warned = np.arange(600) % 15 == 0
    value = value_at(rng.normal(size=600), 0.3, 30 * np.exp(0.01 * (bmi - 26)), 0.12) * np.where(is_warned, 1.2, 1)
    bands = {"age_band": np.where(age < 45, "young", "old"), "bmi_band": np.where(bmi < 26, "low", "high")}
    return pd.DataFrame({"value": value, "age_years": age, "bmi_kg_m2": bmi, **bands, "is_warned": is_warned})


@pytest.fixture(scope="module", params=["age", "age,bmi"])
def result(request, people) -> dict[str, pd.DataFrame]:
    return fit_norms(NormsCase("csa_psoas_total_cm2", "F", request.param, people, (8, 70)))


def test_norms_without_the_warned_cases_lie_lower(result):
    row = result["norms.shift"].iloc[0]
    assert row["comparison"] == "without warned cases" and row["n_left_out"] == 40 and row["n_cells"] > 20
    assert 0.5 < row["mean_shift_points"] < 15 and row["largest_shift_points"] < 0


def test_every_column_has_its_place_in_the_tables(result):
    keys = {"analysis_set", "measure", "sex", "covariates", "family", "code_version", "refusal", "p_holm", "former"}
    for table, rows in result.items():
        declared = {column.name for column in compile_catalog().tables[table].columns}
        assert len(rows) and set(rows) <= declared, table
        assert declared - set(rows) <= keys, table


def test_nobody_warned_about_no_comparison(people):
    table = fit_norms(NormsCase("csa_psoas_total_cm2", "F", "age", people.assign(is_warned=False), None))["norms.shift"]
    assert table.empty
