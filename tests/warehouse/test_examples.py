"""Every question of sql/examples answered on published files, by the locked DuckDB and, where installed, by DuckDB 2.0."""

import json
import os
import subprocess
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from dagster_project.catalog import SQL
from dagster_project.export import NotExported, export_table
from dagster_project.publication import publish
from dagster_project.settings import Settings
from models.statistics.synthetic import simulate_cohort, simulate_profiles
from tests.warehouse.cohort import LEVELS, fill_tables, take_in

EXAMPLES = sorted((SQL / "examples").glob("*.sql"))
MAY_BE_EMPTY = {"where_spearman_and_pearson_differ", "refused_deliveries", "change_between_visits"}
OTHER_DUCKDB = os.environ.get("MYONORM_OTHER_DUCKDB", "/nonexistent")
# Runs in the other version: answers of all examples as JSON, and a file that it wrote itself.
OTHER = """
import duckdb, json, pathlib, sys
snapshot, examples, written = map(pathlib.Path, sys.argv[1:4])
answers = {"version": duckdb.__version__}
for path in sorted(examples.glob("*.sql")):
    sql = path.read_text()
    file = "research" if "(research file)" in sql.splitlines()[0] else "normative"
    with duckdb.connect(str(snapshot / f"{file}.duckdb"), read_only=True) as connection:
        answers[path.stem] = json.loads(json.dumps(connection.execute(sql).fetchall(), default=str))
with duckdb.connect() as connection:
    connection.execute(f"ATTACH '{snapshot}/normative.duckdb' AS old (READ_ONLY)")
    connection.execute(f"ATTACH '{written}' AS new (STORAGE_VERSION 'v1.4.0')")
    connection.execute("COPY FROM DATABASE old TO new")
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory) -> Path:
    """A published snapshot of 3,000 synthetic persons with profiles; norms of one grid point stand in for the fit."""
    home = tmp_path_factory.mktemp("examples")
    with duckdb.connect(str(home / "nako.duckdb")) as connection:
        cohort = simulate_cohort(5, 1400, 1600)
        take_in(connection, cohort, simulate_profiles(cohort, 5, LEVELS))
        connection.execute(
            """
            INSERT INTO norms.lms BY NAME
            SELECT 'synthetic' AS analysis_set, 'csa_psoas_total_cm2' AS measure, 'F' AS sex, 54 AS age_years, 27 AS bmi_kg_m2, 0.3 AS l, 24.5 AS m, 0.15 AS s, 100 AS n_near;
            INSERT INTO norms.centile BY NAME
            SELECT 'synthetic' AS analysis_set, 'csa_psoas_total_cm2' AS measure, 'F' AS sex, 54 AS age_years, 27 AS bmi_kg_m2, c AS centile, 20 + c / 10 AS value
            FROM unnest([10, 50, 90]) AS t (c);
            INSERT INTO meta.release_log BY NAME
            SELECT '20260101T000000Z' AS snapshot, 'r' AS release, 'synthetic' AS study, 'f' AS fingerprint, 'phantom-v1' AS model_version, 'abc' AS code_version,
                'Python' AS software, 10 AS least_persons, now()::TIMESTAMP AS published_at;
            """
        )
        fill_tables(connection)
        return publish(connection, Settings(home=home), "20260101T000000Z")


def answer(snapshot: Path, path: Path) -> list[tuple]:
    sql = path.read_text(encoding="utf-8")
    file = "research" if "(research file)" in sql.splitlines()[0] else "normative"
    with duckdb.connect(str(snapshot / f"{file}.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_there_are_twenty_questions():
    assert len(EXAMPLES) >= 20


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_question_is_a_comment_and_has_an_answer(snapshot, path):
    assert path.read_text(encoding="utf-8").startswith("-- ")
    rows = answer(snapshot, path)
    assert rows or path.stem in MAY_BE_EMPTY


def test_the_gluteus_rises_and_falls_with_age(snapshot):
    rows = answer(snapshot, SQL / "examples" / "is_age_a_straight_line.sql")
    found = {(measure, sex): (r, p) for measure, sex, r, p in rows}
    r, p = found["volume_gluteus_total_l", "M"]
    assert abs(r) < 0.1 and p < 0.001


def test_the_sex_difference_is_that_of_the_study(snapshot):
    rows = {
        label: (pct, low, high)
        for label, _, pct, low, high in answer(snapshot, SQL / "examples" / "sex_difference.sql")
    }
    for label, published in (("Psoas area, left + right", 35.5), ("Gluteus volume, left + right", 29.3)):
        pct, low, high = rows[label]
        assert pct == pytest.approx(published, abs=0.15) and low < published < high


def test_no_number_of_the_aggregate_file_is_of_few_persons_or_of_one(snapshot):
    with duckdb.connect(str(snapshot / "normative.duckdb"), read_only=True) as connection:
        columns = connection.execute(
            "SELECT schema_name, table_name, column_name FROM duckdb_columns() WHERE NOT internal"
            " AND (schema_name, table_name) IN (SELECT (schema_name, table_name) FROM duckdb_tables())"
        ).fetchall()
        assert {schema for schema, *_ in columns} == {"ref", "stats", "norms", "meta"}
        assert not any(column == "participant_id" or column.startswith(("min_", "max_")) for *_, column in columns)
        for schema, table, column in columns:
            if column == "n":
                ((small,),) = connection.execute(
                    f"SELECT count(*) FROM {schema}.{table} WHERE n BETWEEN 1 AND 9"
                ).fetchall()
                assert small == 0, table
        shown = connection.execute(
            "SELECT suppression, n IS NULL, count(*) FROM stats.descriptive GROUP BY ALL"
        ).fetchall()
    assert {(suppression, is_empty) for suppression, is_empty, _ in shown} == {
        (None, False),
        ("suppressed (< 10)", True),
        ("suppressed (protects another cell)", True),
    }


def test_every_result_names_its_set_its_code_and_that_it_is_unweighted(snapshot):
    with duckdb.connect(str(snapshot / "normative.duckdb"), read_only=True) as connection:
        for table in (
            "descriptive",
            "band_percentile",
            "correlation",
            "regression",
            "regression_test",
            "regression_fit",
            "profile",
            "sex_difference",
        ):
            assert connection.execute(
                f"SELECT DISTINCT analysis_set, code_version, weighting FROM stats.{table}"
            ).fetchall() == [("synthetic", "abc", "unweighted")], table


def test_tables_methods_and_dictionary_are_written(snapshot):
    table = (snapshot / "table_1.html").read_text()
    assert "Synthetic data" in table and "24.4" in table and "Women" in table
    assert "Pearson" in (snapshot / "table_4.html").read_text()
    methods = (snapshot / "methods.md").read_text()
    for text in (
        "Synthetic data",
        "10.3390/diagnostics16020205",
        "20260101T000000Z",
        "code version abc",
        "3,000 were analysed",
        "unweighted",
    ):
        assert text in methods, text
    dictionary = json.loads((snapshot / "dictionary.json").read_text())
    assert dictionary["stats.profile"]["sd_share_pct"]["Units"] == "%"
    assert dictionary["imaging.csa_profile"]["csa_cm2"] == {
        "LongName": "Cross-sectional area",
        "Description": "Mask pixels in the slice times in-plane pixel area; the slice's tilt against the body axis is imaging.muscle.slice_tilt_deg.",
        "Units": "cm2",
    }


def test_export_writes_the_same_rows_twice_with_dictionary_and_citation(snapshot, tmp_path):
    paths = export_table(snapshot, "stats.correlation", tmp_path)
    assert [path.suffix for path in paths] == [".csv", ".parquet", ".json", ".md"]
    csv, parquet = pd.read_csv(paths[0]), pd.read_parquet(paths[1])
    assert len(csv) == len(parquet) == 96 and list(csv) == list(parquet) == list(json.loads(paths[2].read_text()))
    assert csv["r"].to_numpy() == pytest.approx(parquet["r"].to_numpy())
    with pytest.raises(NotExported, match=r"no table marts\.muscle_phenotype"):
        export_table(snapshot, "marts.muscle_phenotype", tmp_path)
    path = export_table(snapshot, "marts.muscle_phenotype", tmp_path, is_research=True)[0]
    assert path.stat().st_mode & 0o077 == 0 and len(pd.read_csv(path)) == 3000


def test_another_duckdb_gives_the_same_answers_and_files_open_both_ways(snapshot, tmp_path):
    """`make test-duckdb2` installs DuckDB 2.0 beside the lock and runs this."""
    if not Path(OTHER_DUCKDB).is_file():
        pytest.skip("No other DuckDB: run `make test-duckdb2`, or set MYONORM_OTHER_DUCKDB to a Python that has one.")
    written = tmp_path / "written.duckdb"
    process = subprocess.run(
        [OTHER_DUCKDB, "-c", OTHER, str(snapshot), str(SQL / "examples"), str(written)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-2000:]
    others = json.loads(process.stdout)
    assert others.pop("version") != duckdb.__version__
    for path in EXAMPLES:
        ours, theirs = json.loads(json.dumps(answer(snapshot, path), default=str)), others[path.stem]
        assert len(ours) == len(theirs)
        for left, right in zip(ours, theirs, strict=True):
            for one, other in zip(left, right, strict=True):
                is_number = isinstance(one, float) and isinstance(other, float)
                assert np.isclose(one, other, rtol=1e-9) if is_number else one == other, path.stem
    with (
        duckdb.connect(str(written), read_only=True) as theirs,
        duckdb.connect(str(snapshot / "normative.duckdb"), read_only=True) as ours,
    ):
        for (table,) in ours.execute("SELECT schema_name || '.' || table_name FROM duckdb_tables()").fetchall():
            assert (
                theirs.execute(f"FROM {table} ORDER BY ALL").fetchall()
                == ours.execute(f"FROM {table} ORDER BY ALL").fetchall()
            )
