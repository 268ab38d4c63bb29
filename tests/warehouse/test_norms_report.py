"""The page on how well the norms fit: the numbers of the tables, in words and pictures."""

import re

import numpy as np
import pandas as pd
import pytest

from dagster_project.catalog import SQL
from dagster_project.norms_report import render_report
from dagster_project.norms_work import NormsCase, fit_norms
from dagster_project.warehouse import insert
from models.statistics.box_cox import value_at

KEY = {"analysis_set": "s", "measure": "csa_psoas_total_cm2", "sex": "F", "covariates": "age,bmi"}


@pytest.fixture
def filled(connection):
    """Norms of 500 women, and men's that were refused."""
    rng = np.random.default_rng(2)
    age, bmi = rng.uniform(20, 70, 500), rng.normal(26, 4, 500).clip(16, 45)
    people = pd.DataFrame(
        {"age_years": age, "bmi_kg_m2": bmi, "value": value_at(rng.normal(size=500), 0.3, 25.0, 0.12)}
    )
    people = people.assign(age_band=np.where(age < 45, "18-44", "45+"), bmi_band="all", is_warned=False)
    tables = fit_norms(NormsCase(KEY["measure"], "F", "age,bmi", people, None))
    connection.execute(f"INSERT INTO ref.measure BY NAME FROM read_csv('{SQL}/ref/measure.csv')")
    connection.execute("INSERT INTO ref.analysis_set VALUES ('s', 'synthetic', 'measured', 'v1', true)")
    tables["norms.coverage"]["p_holm"] = np.where(tables["norms.coverage"]["centile"] == 10, 0.01, 1)
    refused = pd.DataFrame([KEY | {"sex": "M", "family": "BCCG", "refusal": "Norms need at least 50 persons."}])
    tables["norms.centile_model"] = pd.concat([tables["norms.centile_model"].assign(family="BCCG", **KEY), refused])
    for table, rows in tables.items():
        if len(rows):
            kept = rows if table == "norms.centile_model" else rows.assign(**KEY)
            insert(
                connection, table, kept.drop(columns="covariates") if table in ("norms.lms", "norms.centile") else kept
            )
    return connection


def test_the_page_shows_what_the_tables_hold(filled):
    page = render_report(filled)
    assert "Synthetic data: nobody in it is a real person." in page
    assert not re.search(r"<script|<link|<img|src=", page)
    for (observed,) in filled.execute(
        "SELECT observed_pct FROM norms.coverage WHERE age_band IS NOT NULL AND bmi_band IS NULL AND centile = 10"
    ).fetchall():
        assert re.search(rf"font-weight: bold[^>]*>{observed:.1f}<", page)
    assert "Men, age and BMI: Norms need at least 50 persons." in page
    assert page.count("<svg") == 1 and "18–44 years" in page


def test_a_snapshot_without_norms_says_so(connection):
    assert "This snapshot has no norms." in render_report(connection)
