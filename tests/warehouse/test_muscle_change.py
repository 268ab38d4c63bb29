"""Change between visits against its definition and against ordinary least squares."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from tests.warehouse.conftest import refill

N = 60


@pytest.fixture
def visits(connection):
    """Sixty women with two visits of an imported measure; exact years for half of them, ages for all."""
    rng = np.random.default_rng(2)
    people = pd.DataFrame(
        {
            "participant_id": [f"P{i:02d}" for i in range(N)],
            "age": rng.uniform(30, 60, N).round(1),
            "dt": rng.uniform(3, 6, N).round(2),
            "first": rng.normal(24, 3, N),
        }
    )
    people["later"] = people["first"] * np.exp(
        people["dt"] * (-0.005 - 0.01 * np.log(people["first"] / 24) + rng.normal(0, 0.004, N))
    )
    people["exact"] = np.where(np.arange(N) % 2, people["dt"], np.nan)
    connection.register("people", people)
    connection.execute(
        """
        INSERT INTO raw.release VALUES ('r', 'S', 1, 'f', false, NULL, '2026-01-01');
        INSERT INTO ref.measure (measure, label, unit, kind, definition) VALUES ('csa_psoas_total_cm2', 'Psoas', 'cm2', 'muscle', NULL), ('age_years', 'Age', 'years', 'covariate', NULL);
        INSERT INTO raw.participant BY NAME
        SELECT 'S' AS study, participant_id, '30' AS visit, 'r' AS release, 'F' AS sex, age AS age_years, if(exact IS NULL, NULL, 0) AS exam_years FROM people
        UNION ALL BY NAME
        SELECT 'S' AS study, participant_id, '60' AS visit, 'r' AS release, 'F' AS sex, age + round(dt) AS age_years, if(exact IS NULL, NULL, dt) AS exam_years FROM people;
        INSERT INTO raw.measurement
        SELECT 'S', participant_id, '30', 'r', 'csa_psoas_total_cm2', first, 'cm2' FROM people
        UNION ALL SELECT 'S', participant_id, '60', 'r', 'csa_psoas_total_cm2', later, 'cm2' FROM people;
        """
    )
    return people


def read(connection):
    refill(connection, "marts.muscle_phenotype", "marts.phenotype_value", "marts.muscle_change")
    return connection.execute("FROM marts.muscle_change ORDER BY participant_id").df()


def test_change_is_that_of_the_definition_over_exact_years(connection, visits):
    table = read(connection)
    years = np.where(visits["exact"].notna(), visits["dt"], visits["dt"].round())
    assert len(table) == N and set(table["measure"]) == {"csa_psoas_total_cm2"}
    assert table["between_years"].to_numpy() == pytest.approx(years)
    assert table["change_per_year_pct"].to_numpy() == pytest.approx(
        100 * np.log(visits["later"] / visits["first"]) / years
    )
    assert table["smallest_detectable_change_pct"].isna().all() and table["is_detectable"].isna().all()


def test_conditional_z_is_the_standardised_residual(connection, visits):
    table = read(connection)
    design = sm.add_constant(np.column_stack([np.log(table["first_value"]), table["age_years"]]))
    fit = sm.OLS(table["change_per_year_pct"].to_numpy(), design).fit()
    assert table["conditional_z"].to_numpy() == pytest.approx(fit.resid / np.sqrt(fit.scale), abs=1e-9)
    assert abs(np.corrcoef(table["conditional_z"], table["first_value"])[0, 1]) < 0.05


def test_too_few_persons_have_no_conditional_z(connection, visits):
    connection.execute("DELETE FROM raw.measurement WHERE participant_id >= 'P29'")
    table = read(connection)
    assert len(table) == 29 and table["conditional_z"].isna().all() and table["change_pct"].notna().all()


def test_a_change_within_the_error_of_measurement_is_not_detectable(connection, visits):
    rng = np.random.default_rng(0)
    pairs = pd.DataFrame({"manual": 20.0, "automatic": 20 * np.exp(rng.normal(0, 0.01, 12))})
    connection.register("pairs", pairs)
    for validation, factor in (("test", 1), ("out_of_fold", 3)):
        connection.execute(
            "INSERT INTO imaging.agreement_pair BY NAME SELECT 'S' AS study, 'x' AS participant_id, '30' AS visit, 'imported' AS model_version,"
            f" '{validation}' AS validation, 'r1' AS reader, 1 AS reading, 'csa_psoas_total_cm2' AS measure,"
            f" 20 + {factor} * (automatic - 20) AS automatic, manual FROM pairs"
        )
    table = read(connection)
    limit = 196 * np.sqrt(2) * np.log(pairs["automatic"] / 20).std()
    assert table["smallest_detectable_change_pct"].to_numpy() == pytest.approx(limit)
    assert (table["is_detectable"] == (table["change_pct"].abs() > limit)).all()
    assert 0 < table["is_detectable"].sum() < N


def test_visits_of_another_model_or_at_the_same_time_are_no_pair(connection, visits):
    connection.execute("UPDATE raw.participant SET age_years = 40, exam_years = NULL WHERE participant_id = 'P00'")
    connection.execute("DELETE FROM raw.measurement WHERE participant_id = 'P01' AND visit = '60'")
    table = read(connection)
    assert len(table) == N - 2 and not table["participant_id"].isin(["P00", "P01"]).any()
