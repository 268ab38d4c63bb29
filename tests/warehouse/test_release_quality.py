"""A release that is incomplete or measures otherwise fails its check, unless a steward accepted it; what moved is counted."""

import duckdb
import numpy as np
import pandas as pd
import pytest

from dagster_project.catalog import PUBLIC_SCHEMAS, SQL
from dagster_project.checks import list_checks
from dagster_project.release_change import compare_published, count_changes
from dagster_project.warehouse import declare_schema, insert
from tests.warehouse.conftest import refill

CHECKS = {check.full_name: check for check in list_checks()}
ACCEPT = "INSERT INTO ref.acceptance VALUES ('r2', 'Another scanner: looked into.', '2026-01-01')"


def register(connection: duckdb.DuckDBPyConnection, *names: str) -> None:
    rows = [{"release": name, "study": "S", "registration": i, "fingerprint": "f"} for i, name in enumerate(names)]
    insert(
        connection, "raw.release", pd.DataFrame(rows).assign(has_imaging=True, registered_at=pd.Timestamp(2026, 1, 1))
    )


def deliver(connection: duckdb.DuckDBPyConnection, release: str, n_stored: int, n_refused: int, first: int = 0) -> None:
    """Deliveries, the stored ones with images and masks."""
    people = [f"{first + i}" for i in range(n_stored + n_refused)]
    frame = pd.DataFrame({"participant_id": people}).assign(release=release, study="S", visit="30")
    outcome = ["stored"] * n_stored + ["missing_slice"] * n_refused
    insert(
        connection,
        "raw.imaging_delivery",
        frame.assign(path=people, layout="composed", fingerprint="f", outcome=outcome),
    )
    stored = frame.head(n_stored).assign(
        image_sha256="s", contrast="in", nifti_path="p", orientation="RAS", n_instances=1
    )
    insert(
        connection, "raw.dixon_series", stored.assign(shape=[[1, 1, 1]] * n_stored, spacing=[[1.0, 1, 1]] * n_stored)
    )
    ledger = stored[["study", "participant_id", "visit", "image_sha256"]].assign(model_version="m", status="done")
    insert(connection, "imaging.segmentation", ledger.assign(attempts=1, is_low_memory=False))


@pytest.mark.parametrize(("n_stored", "n_refused", "n_violations"), [(75, 25, 0), (74, 26, 1), (10, 9, 0), (10, 10, 1)])
def test_release_with_over_a_quarter_refused_fails_from_twenty_deliveries_on(
    connection, n_stored, n_refused, n_violations
):
    register(connection, "r1", "r2")
    deliver(connection, "r2", n_stored, n_refused)
    refill(connection, "marts.release_summary")
    check = CHECKS["marts.release_summary:complete"]
    assert check.count_violations(connection) == n_violations
    connection.execute(ACCEPT)
    refill(connection, "marts.release_summary")
    assert check.count_violations(connection) == 0


def test_stored_case_without_a_row_in_the_ledger_fails_even_when_accepted(connection):
    register(connection, "r2")
    deliver(connection, "r2", 3, 0)
    connection.execute("DELETE FROM imaging.segmentation WHERE participant_id = '1'")
    connection.execute(ACCEPT)
    refill(connection, "marts.release_summary")
    assert connection.execute("SELECT n_stored, n_unsegmented FROM marts.release_summary").fetchone() == (3, 1)
    assert CHECKS["marts.release_summary:complete"].count_violations(connection) == 1


def measure(
    connection: duckdb.DuckDBPyConnection, release: str, values: np.ndarray, bmi: np.ndarray, first: int
) -> None:
    """Imported values of women."""
    frame = pd.DataFrame({"participant_id": [f"{first + i}" for i in range(len(values))], "visit": "1", "study": "S"})
    frame = frame.assign(release=release)
    insert(connection, "raw.measurement", frame.assign(measure="csa_psoas_left_cm2", value=values, unit="cm2"))
    covariates = frame.assign(
        sex="F", age_years=50.0, height_cm=170.0, weight_kg=bmi * 1.7**2, bmi_kg_m2=bmi, centre="c"
    )
    insert(connection, "raw.participant", covariates)


@pytest.fixture
def drifting(connection):
    """Two releases whose second has heavier persons, at the values that their BMI leads one to expect, and a shift."""

    def fill(shift_sd: float) -> duckdb.DuckDBPyConnection:
        rng = np.random.default_rng(1)
        connection.execute(f"INSERT INTO ref.measure BY NAME FROM read_csv('{SQL}/ref/measure.csv')")
        register(connection, "r1", "r2")
        for number, release in enumerate(("r1", "r2")):
            bmi = rng.normal(26 + 4 * number, 3, 400)
            values = 12 + 0.3 * bmi + rng.normal(0, 1.5, 400) + (1.75 * shift_sd if number else 0)
            measure(connection, release, values, bmi, 1000 * number)
        refill(connection, "marts.muscle_phenotype", "marts.phenotype_value", "marts.release_drift")
        return connection

    return fill


def test_release_of_heavier_persons_is_no_drift_but_a_shifted_one_is(drifting):
    connection = drifting(0.0)
    check = CHECKS["marts.release_drift:stable"]
    (shift,) = connection.execute(
        "SELECT shift_sd FROM marts.release_drift WHERE measure = 'csa_psoas_left_cm2'"
    ).fetchone()
    assert abs(shift) < 0.2 and check.count_violations(connection) == 0
    crude = connection.execute(
        "SELECT (avg(value) FILTER (release = 'r2') - avg(value) FILTER (release = 'r1')) / stddev(value) FILTER (release = 'r1')"
        " FROM raw.measurement"
    ).fetchone()[0]
    assert crude > 0.5


def test_shifted_release_fails_until_it_is_accepted(drifting):
    connection = drifting(0.8)
    check = CHECKS["marts.release_drift:stable"]
    rows = connection.execute(f"SELECT release, shift_sd FROM ({check.query})").fetchall()
    assert [release for release, _ in rows] == ["r2"] and rows[0][1] == pytest.approx(0.8, abs=0.2)
    connection.execute(ACCEPT)
    refill(connection, "marts.release_drift")
    assert check.count_violations(connection) == 0


def test_counts_of_changes_are_hidden_below_the_least_and_add_up(drifting, tmp_path):
    connection = drifting(0.0)
    former = tmp_path / "research.duckdb"
    with duckdb.connect(str(former)) as snapshot:
        declare_schema(snapshot)
        for table in ("raw.release", "raw.measurement", "marts.muscle_phenotype"):
            insert(snapshot, table, connection.execute(f"FROM {table}").df())
        snapshot.execute(
            "DELETE FROM marts.muscle_phenotype WHERE participant_id IN (SELECT i::VARCHAR FROM range(20) AS t(i))"
        )
        snapshot.execute(
            "UPDATE marts.muscle_phenotype SET csa_psoas_left_cm2 = 1 WHERE participant_id IN ('1001', '1002', '1003')"
        )
    connection.execute("DELETE FROM marts.muscle_phenotype WHERE participant_id LIKE '105_'")
    counts = count_changes(connection, former, least=10).set_index("release")
    assert counts.loc["r1"].tolist() == [20, 0, 0]
    assert counts.loc["r2", "n_added"] == 0 and counts.loc["r2", "n_dropped"] == 10
    assert pd.isna(counts.loc["r2", "n_changed"])
    assert count_changes(connection, None, least=10)["n_added"].tolist() == [400, 390]


def test_moved_numbers_are_named_with_their_cell(tmp_path):
    files = [tmp_path / name / "normative.duckdb" for name in ("before", "after")]
    rows = pd.DataFrame(
        {"analysis_set": "s", "measure": "csa", "sex": ["F", "M", None], "n": [20, 30, 50], "mean": [24.0, 38.0, 32.0]}
    )
    for file, means in zip(files, ([24.0, 38.0, 32.0], [24.5, 36.0, None]), strict=True):
        file.parent.mkdir()
        with duckdb.connect(str(file)) as connection:
            declare_schema(connection, PUBLIC_SCHEMAS)
            insert(connection, "stats.descriptive", rows.assign(mean=means))
    (change,) = compare_published(files[1], files[0]).to_dict("records")
    assert change | {"former": "before"} == change
    assert (change["table_name"], change["column_name"]) == ("stats.descriptive", "mean")
    assert (change["n_new"], change["n_gone"], change["n_moved"]) == (0, 1, 2)
    assert (change["largest_change"], change["former_value"], change["value"]) == (-2.0, 38.0, 36.0)
    assert change["cell"] == "measure csa, sex M"
    assert compare_published(files[1], files[1]).empty and compare_published(files[1], None).empty
