"""Research mode: who is let in, one participant's page, the SQL page."""

from pathlib import Path

import duckdb
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard import access, snapshot
from tests.dashboard.conftest import REPOSITORY, declare, publish
from tests.dashboard.test_pages import texts

SCHEMAS = ("ref", "raw", "imaging", "marts", "stats", "norms", "scores", "meta")
PEOPLE = """
INSERT INTO marts.muscle_phenotype (study, participant_id, visit, source, model_version, is_first_visit, sex, age_years, bmi_kg_m2)
VALUES
    ('synthetic', '100001', '30', 'measured', 'phantom-v2', true, 'F', 54, 27),
    ('synthetic', '100001', '60', 'measured', 'phantom-v2', false, 'F', 58, 28),
    ('synthetic', '100002', '30', 'imported', 'imported', true, NULL, NULL, NULL);
INSERT INTO marts.phenotype_value (study, participant_id, visit, source, model_version, measure, value) VALUES
    ('synthetic', '100001', '30', 'measured', 'phantom-v2', 'csa_psoas_total_cm2', 22.5),
    ('synthetic', '100001', '60', 'measured', 'phantom-v2', 'csa_psoas_total_cm2', 21.5);
INSERT INTO scores.phenotype_z (analysis_set, study, participant_id, visit, source, model_version, measure, percentile_pct, percentile_by_age_pct)
VALUES ('s', 'synthetic', '100001', '30', 'measured', 'phantom-v2', 'csa_psoas_total_cm2', 62.2, 48.1);
INSERT INTO imaging.csa_profile (study, participant_id, visit, model_version, compartment, side, slice_index, z_mm, position_pct, csa_cm2, release)
SELECT 'synthetic', '100001', '30', 'phantom-v2', 'psoas', 'left', i, -3 * i, i + 0.5, 5 + i / 20, 'demo' FROM range(100) AS r (i);
INSERT INTO stats.segmentation_score (study, model_version, comparison, validation, compartment, side, metric, n, mean, sd)
VALUES ('synthetic', 'phantom-v2', 'automatic', 'test', 'psoas', 'left', 'dice', 2, 0.912, 0.01);
INSERT INTO imaging.segmentation_score BY NAME
SELECT 'synthetic' AS study, '100001' AS participant_id, '30' AS visit, 'phantom-v2' AS model_version, 'automatic' AS comparison,
    'test' AS validation, 'psoas' AS compartment, 'left' AS side, 'truth' AS reader, 1 AS reading, 0.912 AS dice, 'a' AS annotation_sha256, 's' AS source_sha256;
INSERT INTO stats.agreement BY NAME
SELECT 'synthetic' AS study, 'phantom-v2' AS model_version, 'test' AS validation, 'csa_psoas_left_cm2' AS measure, 'cm2' AS unit,
    2 AS n, 0.1 AS bias, 0.0 AS bias_low, 0.2 AS bias_high, 0.1 AS sd, -0.1 AS limit_low, -0.2 AS limit_low_low,
    0.0 AS limit_low_high, 0.3 AS limit_high, 0.2 AS limit_high_low, 0.4 AS limit_high_high, false AS grows_with_size;
INSERT INTO imaging.agreement_pair BY NAME
SELECT 'synthetic' AS study, '100001' AS participant_id, '30' AS visit, 'phantom-v2' AS model_version, 'test' AS validation,
    'truth' AS reader, 1 AS reading, 'csa_psoas_left_cm2' AS measure, 11.2 AS automatic, 11.1 AS manual;
INSERT INTO stats.participant_flow (study, source, model_version, position, step, n)
VALUES ('synthetic', 'imported', 'imported', 1, 'known', 3);
"""


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a participant-level file of three visits."""
    path = tmp_path_factory.mktemp("people") / "research.duckdb"
    with duckdb.connect(str(path)) as connection:
        for schema in SCHEMAS:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            for file in sorted((REPOSITORY / "sql" / schema).glob("*.sql")):
                text = file.read_text(encoding="utf-8")
                if "CREATE OR REPLACE VIEW" not in text:
                    declare(connection, f"{schema}.{file.stem}", text)
        connection.execute(f"INSERT INTO ref.measure BY NAME FROM read_csv('{REPOSITORY / 'sql/ref/measure.csv'}')")
        connection.execute(PEOPLE)
    return path


@pytest.fixture
def research(aggregates: Path, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home in research mode."""
    publish(aggregates, tmp_path, "20260103T000000Z")
    (tmp_path / "snapshots" / "current" / "research.duckdb").symlink_to(people)
    monkeypatch.setenv("MYONORM_HOME", str(tmp_path))
    monkeypatch.setenv("MYONORM_RESEARCH", "1")
    return tmp_path


def test_without_research_mode_there_are_no_such_pages(home: Path, app: AppTest) -> None:
    """Nor does a query reach the participant level."""
    app.run()
    with pytest.raises(ValueError, match="participant"):
        app.switch_page("views/participant.py").run()
    snapshot.open_newest()
    with pytest.raises(PermissionError):
        snapshot.query("FROM marts.muscle_phenotype", research=True)


def test_a_participant(research: Path, app: AppTest) -> None:
    """Visits, percentiles, profile."""
    app.run()
    app.switch_page("views/participant.py").run()
    written = texts(app)
    assert "30 (synthetic, phantom-v2)" in written and "60 (synthetic, phantom-v2)" in written
    assert '<td class="number">48</td><td class="number">62</td>' in written
    assert len(app.get("vega_lite_chart")) == 2
    assert not app.query_params


def test_a_participant_without_images_or_age(research: Path, app: AppTest) -> None:
    """Empty states, no error; and a pseudonym that nobody has."""
    app.run()
    app.switch_page("views/participant.py").run()
    app.text_input(key="participant").set_value("100002").run()
    assert not app.exception and app.info
    app.text_input(key="participant").set_value("../../etc").run()
    assert "No analysed participant" in app.info[0].value


def test_research_mode_shows_the_cases_behind_scores_and_agreement(research: Path, app: AppTest) -> None:
    """And says so; the public page reads aggregates alone (test_pages.py)."""
    app.run()
    app.switch_page("views/segmentation.py").run()
    written = texts(app)
    assert "0.912" in written and "small cells are shown" in written
    app.segmented_control(key="part en").set_value("agreement").run()
    spec = app.get("vega_lite_chart")[0].proto.spec
    assert '"circle"' in spec
    app.switch_page("views/flow.py").run()
    assert "<b>3</b>" in texts(app)


def test_the_sql_page_runs_examples_and_keeps_a_history(research: Path, app: AppTest) -> None:
    """Choose, run, see; then a mistake, which is shown as DuckDB says it."""
    app.run()
    app.switch_page("views/sql.py").run()
    app.text_area(key="sql").set_value("SELECT count(*) AS n, count(*) AS n FROM marts.muscle_phenotype").run()
    app.button[0].click().run()
    assert app.dataframe[0].value.to_dict("records") == [{"n": 3, "n_2": 3}]
    app.text_area(key="sql").set_value("FROM nothing_of_this_name").run()
    app.button[0].click().run()
    assert "nothing_of_this_name does not exist" in app.error[0].value
    app.selectbox(key="example").set_value(app.selectbox(key="example").options[0]).run()
    assert app.text_area(key="sql").value.startswith("--")
    assert not app.exception and not app.query_params


@pytest.mark.parametrize(
    ("address", "path", "headers", "expected"),
    [
        ("127.0.0.1", "", {}, True),
        ("localhost", "", {}, True),
        ("::1", "", {}, True),
        ("0.0.0.0", "", {}, False),
        (None, "", {}, False),
        ("10.1.2.3", "", {}, False),
        ("muscle.example.org", "", {}, False),
        ("127.0.0.1", "muscle", {}, False),
        ("127.0.0.1", "", {"X-Forwarded-For": "203.0.113.9"}, False),
    ],
)
def test_who_counts_as_this_machine(
    monkeypatch: pytest.MonkeyPatch, address: str | None, path: str, headers: dict[str, str], expected: bool
) -> None:
    """A proxy on this machine forwards for others."""
    options = {"server.address": address, "server.baseUrlPath": path}
    monkeypatch.setattr(st, "get_option", options.get)
    monkeypatch.setattr(type(st.context), "headers", headers)
    assert access.is_loopback() is expected


@pytest.mark.parametrize("page", ["participant", "sql"])
def test_from_outside_nobody_is_let_in_without_a_sign_in(
    research: Path, app: AppTest, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    """And without a provider the page says what is missing."""
    monkeypatch.setattr(access, "is_loopback", lambda: False)
    app.run()
    app.switch_page(f"views/{page}.py").run()
    assert app.title[0].value == "Sign in"
    assert "no sign-in is configured" in app.error[0].value
    assert not app.dataframe and not app.get("vega_lite_chart")


@pytest.mark.parametrize(("seconds", "expected"), [(60, True), (-1, False)])
def test_a_sign_in_expires(research: Path, monkeypatch: pytest.MonkeyPatch, seconds: int, expected: bool) -> None:
    """Streamlit does not look at it."""
    monkeypatch.setattr(access, "is_loopback", lambda: False)
    monkeypatch.setattr(access.time, "time", lambda: 1000.0)
    monkeypatch.setattr(access.st, "user", {"is_logged_in": True, "exp": 1000 + seconds})
    assert access.is_admitted() is access.is_signed_in() is expected
