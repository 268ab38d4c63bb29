"""A withdrawn person disappears: proved by searching bytes, kept out by tombstones, protected by what is withheld. And what
else happens between publications of one cohort: the norms' shift, a blocked publication.
"""

import shutil

import duckdb
import numpy as np
import pandas as pd
import pytest

from models.statistics.synthetic import simulate_cohort, simulate_profiles, write_release
from tests.pipeline.installation import Installation, last_line

CELL = "measure = 'csa_psoas_left_cm2' AND sex = 'F' AND age_band = '40-49' AND bmi_band IS NULL"


def prepare_cohort():
    people = simulate_cohort(3, n_women=300, n_men=300)
    return people.assign(participant_id=[f"QXJ{number:05d}" for number in range(len(people))])


COHORT = prepare_cohort()
GONE = COHORT.query("sex == 'F' and 40 <= age_years < 50")["participant_id"].iloc[0]


def files_with(home, text):
    """Files under a home, except releases/, whose bytes or names hold a text."""
    return {
        path.relative_to(home).as_posix()
        for path in home.rglob("*")
        if path.is_file()
        and not path.is_relative_to(home / "releases")
        and (text.encode() in path.read_bytes() or text in path.as_posix())
    }


def cell(installation, file="normative"):
    rows = installation.query(f"SELECT n, mean, suppression FROM stats.descriptive WHERE {CELL}", file)
    return rows[0]


@pytest.fixture(scope="module")
def before(installation: Installation):
    """The cohort published, with a derivative and a verdict of the person who will go."""
    write_release(installation.releases / "cohort", COHORT, simulate_profiles(COHORT, 3, levels=10))
    path = installation.releases / "cohort" / "measurements.csv"
    measurements = pd.read_csv(path, dtype=str)
    measurements[measurements["measure"].str.startswith("csa_psoas")].to_csv(path, index=False)
    assert last_line(installation.update("cohort")).startswith("published ")
    folder = installation.home / "derivatives" / "synthetic" / GONE / "30"
    folder.mkdir(parents=True)
    (folder / "overlay.png").write_bytes(b"picture of " + GONE.encode())
    reviews = installation.home / "reviews"
    reviews.mkdir()
    (reviews / "r1.jsonl").write_text(f'{{"participant_id": "{GONE}"}}\n{{"participant_id": "999999"}}\n')
    assert len(files_with(installation.home, GONE)) >= 4
    return installation


def test_nothing_changed_is_shown_again(before):
    n, mean, suppression = cell(before)
    assert n >= 10 and mean and suppression is None
    assert before.query("SELECT count(*) FROM marts.published_cell WHERE n_withdrawn > 0") == [(0,)]


def test_the_withdrawn_person_is_in_no_byte(before):
    """And the cell she was in is withheld: its old and new mean would tell her value."""
    first = (before.home / "snapshots" / "current").resolve()
    before.write_table("leaving", "release.toml", 'study = "synthetic"')
    before.write_table("leaving", "withdrawals.csv", "participant_id", GONE)
    process = before.update("leaving")
    assert last_line(process).startswith("published "), process.stderr[-2000:]
    assert GONE not in process.stdout + process.stderr
    listed = pd.read_csv(before.home / "withdrawals" / "to_destroy.csv", dtype=str)
    assert set(zip(listed["kind"], listed["name"], strict=True)) == {("snapshot", first.name), ("release", "cohort")}
    traces = files_with(before.home, GONE)
    assert {path for path in traces if not path.startswith(f"snapshots/{first.name}/")} == set()
    assert (before.home / "reviews" / "r1.jsonl").read_text() == '{"participant_id": "999999"}\n'
    assert not (before.home / "withdrawals" / "unproven").exists()
    for table, column in before.query(
        "SELECT DISTINCT schema_name || '.' || table_name, column_name FROM duckdb_columns() WHERE column_name = 'participant_id'"
    ):
        assert before.query(f"SELECT count(*) FROM {table} WHERE {column} = '{GONE}'") == [(0,)], table
    raw_n, raw_mean, _ = cell(before, "research")
    inside = COHORT[
        (COHORT["sex"] == "F") & COHORT["age_years"].between(40, 49.99) & (COHORT["participant_id"] != GONE)
    ]
    assert (raw_n, raw_mean) == (len(inside), pytest.approx(inside["csa_psoas_left_cm2"].mean(), rel=1e-5))
    assert cell(before) == (None, None, "withheld (fewer than 10 persons changed)")
    with duckdb.connect(str(first / "normative.duckdb"), read_only=True) as old:
        kept = old.execute(
            "SELECT n, mean FROM stats.descriptive WHERE measure = 'csa_psoas_left_cm2' AND sex = 'M' AND age_band = '40-49' AND bmi_band IS NULL"
        )
        assert before.query(
            "SELECT n, mean FROM stats.descriptive WHERE measure = 'csa_psoas_left_cm2' AND sex = 'M' AND age_band = '40-49' AND bmi_band IS NULL",
            "normative",
        ) == [(kept_n, pytest.approx(kept_mean)) for kept_n, kept_mean in kept.fetchall()]


def test_the_withheld_cell_does_not_follow_from_the_others(before):
    """Women of all ages minus the other age bands would be the withheld one."""
    rows = before.query(
        "SELECT age_band, n FROM stats.descriptive WHERE measure = 'csa_psoas_left_cm2' AND sex = 'F' AND bmi_band IS NULL",
        "normative",
    )
    assert sum(n is None for _, n in rows) >= 2


def test_the_flow_counts_the_withdrawn_and_the_public_file_hides_the_one(before):
    flow = "SELECT step, reason, n FROM stats.participant_flow WHERE source = 'imported' ORDER BY position, reason NULLS LAST"
    rows = before.query(flow)
    assert (
        rows[0] == ("known", None, 600)
        and ("not withdrawn", "withdrawn", 1) in rows
        and ("analysed", None, 599) in rows
    )
    shown = {(step, reason): n for step, reason, n in before.query(flow, "normative")}
    assert shown["not withdrawn", "withdrawn"] is None and shown["known", None] is None
    assert shown["analysed", None] == 599


def test_the_new_norms_are_compared_with_the_last(before):
    """One woman of 600 left: her sex's norms moved a little, the men's not at all. The first publication had none before it."""
    rows = before.query(
        "SELECT sex, covariates, former, n_cells, abs(largest_shift_points) FROM norms.shift"
        " WHERE comparison = 'last publication' AND measure = 'csa_psoas_total_cm2' ORDER BY ALL",
        "normative",
    )
    first = min(path.name for path in (before.home / "snapshots").iterdir())
    assert [(sex, covariates) for sex, covariates, *_ in rows] == [
        (sex, covariates) for sex in "FM" for covariates in ("age", "age,bmi")
    ]
    for sex, _, former, n_cells, shift in rows:
        assert former.startswith(first) and n_cells > 30
        assert 0.01 < shift < 5 if sex == "F" else shift < 1e-6
    with duckdb.connect(str(before.home / "snapshots" / first / "normative.duckdb"), read_only=True) as old:
        assert old.execute("SELECT count(*) FROM norms.shift WHERE comparison = 'last publication'").fetchone() == (0,)


def test_a_warehouse_built_anew_does_not_bring_the_person_back_and_listed_snapshots_are_destroyed(before, monkeypatch):
    """The latter where the setting says so."""
    monkeypatch.setenv("MYONORM_DESTROY_SNAPSHOTS", "1")
    (before.home / "warehouse.duckdb").unlink()
    (before.releases / "cohort" / "participants.csv").touch()
    assert last_line(before.update("cohort")).startswith("published ")
    assert before.query(f"SELECT count(*) FROM raw.participant WHERE participant_id = '{GONE}'") == [(0,)]
    assert before.query("SELECT count(*) FROM raw.participant") == [(599,)]
    assert files_with(before.home, GONE) == set()
    assert cell(before) == (None, None, "withheld (fewer than 10 persons changed)")


def test_norms_off_calibration_block_the_publication_and_the_last_snapshot_stays(before):
    """A measure with two humps, which no skewed bell describes."""
    rng = np.random.default_rng(1)
    humps = np.where(rng.random(len(COHORT)) < 0.5, 10, 20) + rng.normal(0, 0.3, len(COHORT))
    ids = COHORT["participant_id"]
    lines = [f"{i},30,two_humps_kg,{value:.3f},kg" for i, value in zip(ids, humps, strict=True) if i != GONE]
    before.write_table("humps", "release.toml", 'study = "synthetic"')
    before.write_table("humps", "measures.csv", "measure,label,unit", "two_humps_kg,Two humps,kg")
    before.write_table("humps", "measurements.csv", "participant_id,visit,measure,value,unit", *lines)
    snapshots = before.home / "snapshots"
    current, names = (snapshots / "current").resolve(), {path.name for path in snapshots.iterdir()}
    assert last_line(before.update("humps")) == "blocked: norms.coverage:calibrated"
    assert (snapshots / "current").resolve() == current and {path.name for path in snapshots.iterdir()} == names
    assert before.query("SELECT count(*) FROM ref.measure WHERE measure = 'two_humps_kg'", "normative") == [(0,)]


def test_the_search_finds_what_is_there(before, monkeypatch):
    """The proof can fail: a file with the id in its bytes, and a database row."""
    from dagster_project.settings import Settings
    from dagster_project.withdrawal import find_traces

    settings = Settings(home=before.home)
    assert find_traces(settings, [GONE]) == []
    planted = before.home / "cache.bin"
    planted.write_bytes(b"\0x" + GONE.encode() + b"y")
    database = before.home / "copy.duckdb"
    shutil.copy(before.home / "warehouse.duckdb", database)
    with duckdb.connect(str(database)) as connection:
        connection.execute(f"CREATE TABLE t AS SELECT '{GONE}' AS id, range AS i FROM range(3)")
    assert find_traces(settings, [GONE]) == [planted, database]
    planted.unlink()
    with duckdb.connect(str(database)) as connection:
        connection.execute("DROP TABLE t")
    assert find_traces(settings, [GONE]) in ([], [database])
    database.unlink()
