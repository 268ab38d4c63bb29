"""The formulas of the published files against scipy and the fitted model."""

import duckdb
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from dagster_project.catalog import PUBLIC_SCHEMAS
from dagster_project.warehouse import declare_schema, insert
from models.statistics import box_cox, norm_table, normative


@pytest.fixture(scope="module")
def norms():
    """A database with the public schemas alone and the norms of one measure in women; the model by covariates."""
    rng = np.random.default_rng(3)
    age, bmi = rng.uniform(20, 70, 4000), rng.normal(26, 4, 4000).clip(16, 45)
    m, s = 30 * np.exp(-0.004 * (age - 45) + 0.01 * (bmi - 26)), 0.12 + 0.001 * (age - 45)
    y = box_cox.value_at(rng.normal(size=age.size), 0.4, m, s)
    models = {"age": normative.fit(age, None, y), "age,bmi": normative.fit(age, bmi, y)}
    with duckdb.connect() as connection:
        declare_schema(connection, PUBLIC_SCHEMAS)
        for name, model in models.items():
            grid = norm_table.lms_grid(model, norm_table.support(age, bmi if "bmi" in name else None))
            insert(connection, "norms.lms", grid.assign(analysis_set="a", measure="csa", sex="F"))
        yield connection, models


def test_normal_distribution_is_that_of_scipy_to_seven_digits(norms):
    connection, _ = norms
    z = np.linspace(-12, 12, 24_001)
    grid = pd.DataFrame({"z": z})
    found = connection.execute("SELECT normal_cdf(z) AS p FROM grid ORDER BY z").df()["p"]
    assert len(grid) == 24_001 and np.abs(found - stats.norm.cdf(z)).max() < 1e-7
    assert connection.execute("SELECT normal_cdf(NULL)").fetchone() == (None,)


@pytest.mark.parametrize("covariates", ["age", "age,bmi"])
def test_scores_and_limits_are_those_of_the_model(norms, covariates):
    """At grid points equal; between them bilinear, within 0.01 z."""
    connection, models = norms
    rng = np.random.default_rng(4)
    age, bmi = rng.integers(25, 65, 200).astype(float), rng.integers(21, 31, 200).astype(float)
    age[100:] += 0.5
    bmi[100:] += 0.25
    value = rng.uniform(22, 40, 200)
    by_bmi = "NULL" if covariates == "age" else "bmi_kg_m2"
    # Columns with the names of norms.lms, which must not hide the person's own.
    person = pd.DataFrame({"measure": "csa", "sex": "F", "age_years": age, "bmi_kg_m2": bmi, "value": value, "l": 9.0})
    found = connection.execute(
        f"""
        SELECT z, percentile_pct, limits.ci_low, limits.ci_high FROM (SELECT
            z_score(measure, sex, age_years, {by_bmi}, value) AS z,
            percentile(measure, sex, age_years, {by_bmi}, value) AS percentile_pct,
            percentile_limits(measure, sex, age_years, {by_bmi}, value) AS limits
        FROM person)
        """
    ).df()
    wanted = normative.percentile(models[covariates], person["age_years"], bmi, value)
    assert len(found) == 200
    assert np.abs(found["z"] - wanted["z"])[:100].max() < 1e-9 and np.abs(found["z"] - wanted["z"]).max() < 0.01
    for column in ("percentile_pct", "ci_low", "ci_high"):
        assert np.abs(found[column] - wanted[column])[:100].max() < 1e-4
        assert np.abs(found[column] - wanted[column]).max() < 0.5


@pytest.mark.parametrize(
    ("arguments", "is_known"),
    [
        ("'csa', 'F', 45, 26, 30", True),
        ("'csa', 'F', 45.5, NULL, 30", True),
        ("'csa', 'F', 95, 26, 30", False),
        ("'csa', 'F', 45, 60, 30", False),
        ("'csa', 'M', 45, 26, 30", False),
        ("'other', 'F', 45, 26, 30", False),
        ("'csa', 'F', NULL, 26, 30", False),
        ("'csa', 'F', 45, 26, 0", False),
        ("'csa', 'F', 45, 26, -3", False),
        ("'csa', 'F', 45, 26, NULL", False),
    ],
)
def test_outside_the_reference_range_there_is_no_answer(norms, arguments, is_known):
    connection, _ = norms
    row = connection.execute(
        f"SELECT z_score({arguments}), percentile({arguments}), percentile_limits({arguments}).ci_low"
    ).fetchone()
    assert [x is not None for x in row] == [is_known] * 3


@pytest.mark.parametrize(("observed", "p_holm", "n_found"), [(13, 0.01, 1), (13, 0.2, 0), (11.5, 0.001, 0)])
def test_calibration_check_needs_size_and_significance(observed, p_holm, n_found):
    from dagster_project.catalog import SQL

    with duckdb.connect() as connection:
        declare_schema(connection)
        row = {"analysis_set": "a", "measure": "csa", "sex": "F", "covariates": "age", "centile": 10, "n": 5000}
        insert(connection, "norms.coverage", pd.DataFrame([row | {"observed_pct": observed, "p_holm": p_holm}]))
        check = (SQL / "checks" / "norms__coverage__calibrated.sql").read_text(encoding="utf-8")
        assert len(connection.execute(check).fetchall()) == n_found
