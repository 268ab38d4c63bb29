"""Which verdict counts, whom it excludes, how far readers agree, and what they would reject of all cases."""

import duckdb
import numpy as np
import pytest

from dagster_project.defs.review import compare_readers
from tests.warehouse.conftest import refill

CASES = """
    INSERT INTO imaging.segmentation BY NAME
    SELECT 'S' AS study, i::VARCHAR AS participant_id, '30' AS visit, 'v1' AS model_version, 'done' AS status, 1 AS attempts, 'h' AS image_sha256,
        'm' || i AS mask_sha256, false AS is_low_memory
    FROM range(4000) AS r (i);
"""
READING = """
    INSERT INTO imaging.review BY NAME
    SELECT 'S' AS study, $participant AS participant_id, '30' AS visit, 'v1' AS model_version, $compartment AS compartment, $side AS side,
        $reader AS reader, $verdict AS verdict, $reason AS reason, $id AS reading_id, $reading AS reading, $undone AS is_undone,
        $mask AS mask_sha256, false AS is_blinded, 1 AS sampling_probability, $at::TIMESTAMP AS reviewed_at
"""


def read_case(connection, verdict, day=1, muscle=(None, None), **fields):
    compartment, side = muscle
    values = {"participant": "1", "reader": "r1", "reading": "first", "mask": "m1", "undone": False, "reason": None}
    values |= {"id": f"{day}{fields.get('reader', 'r1')}", "at": f"2026-01-{day:02d}", "verdict": verdict}
    connection.execute(READING, values | {"compartment": compartment, "side": side} | fields)


@pytest.fixture
def cases(connection) -> duckdb.DuckDBPyConnection:
    connection.execute(CASES)
    return connection


def rejected(connection) -> list[tuple]:
    return connection.execute("SELECT compartment, side, state, reason FROM imaging.rejection ORDER BY ALL").fetchall()


def fail_a_check(connection) -> None:
    connection.execute(
        "INSERT INTO imaging.quality BY NAME SELECT 'S' AS study, '1' AS participant_id, '30' AS visit, 'v1' AS model_version,"
        " 'liver_side_pct' AS check_name, 'fail' AS verdict, 'm1' AS mask_sha256, 'r' AS release"
    )


def test_the_latest_reading_of_a_case_replaces_the_earlier_as_a_whole(cases):
    read_case(cases, "reject", 1, reason="swap")
    assert rejected(cases) == [(None, None, "rejected by a reader", "swap")]
    read_case(cases, "reject", 2, muscle=("psoas", "left"), reason="junction")
    assert rejected(cases) == [("psoas", "left", "rejected by a reader", "junction")]
    read_case(cases, "accept", 3)
    assert rejected(cases) == []


def test_a_second_reading_decides_nothing_and_a_consensus_decides(cases):
    read_case(cases, "accept", 1)
    read_case(cases, "reject", 2, reader="r2", reading="second")
    assert rejected(cases) == []
    read_case(cases, "reject", 3, reader="r2", reading="consensus", reason="artefact")
    read_case(cases, "accept", 4, reader="r3")
    assert rejected(cases) == [(None, None, "rejected by a reader", "artefact")]


@pytest.mark.parametrize("fields", [{"undone": True}, {"mask": "an earlier mask"}])
def test_undone_readings_and_those_of_earlier_masks_do_not_count(cases, fields):
    read_case(cases, "reject", 1, **fields)
    assert rejected(cases) == []


def test_unsure_excludes_nobody(cases):
    read_case(cases, "unsure", 1)
    assert rejected(cases) == []


def test_only_a_consensus_overrules_a_failed_check(cases):
    """Situs inversus fails the check of the liver's side."""
    fail_a_check(cases)
    automatic = [(None, None, "rejected automatically", "liver_side_pct")]
    read_case(cases, "accept", 1)
    assert rejected(cases) == automatic
    read_case(cases, "unsure", 2, reading="consensus")
    assert rejected(cases) == automatic
    read_case(cases, "accept", 3, reading="consensus")
    assert rejected(cases) == []


def test_agreement_counts_each_muscle_and_the_case_once(cases):
    """r1 rejects one muscle, r2 the whole case: one muscle agrees, three differ, the case agrees."""
    read_case(cases, "reject", 1, muscle=("psoas", "left"))
    for muscle in (("psoas", "right"), ("gluteus", "left"), ("gluteus", "right")):
        read_case(cases, "accept", 1, muscle=muscle)
    read_case(cases, "reject", 2, reader="r2", reading="second")
    table = compare_readers(cases).set_index("muscle")
    assert table["n"].eq(1).all() and len(table) == 5
    assert table["observed_pct"].to_dict() == {
        "case": 100,
        "left psoas": 100,
        "right psoas": 0,
        "left gluteus": 0,
        "right gluteus": 0,
    }


def test_rates_weighted_by_sampling_probability_are_unbiased(cases):
    """4,000 cases: of 400 suspicious ones half are bad, of the rest 2 %; all suspicious ones and a tenth of the rest are read."""
    rng = np.random.default_rng(7)
    is_suspicious = np.arange(4000) < 400
    is_bad = rng.random(4000) < np.where(is_suspicious, 0.5, 0.02)
    is_read = is_suspicious | (rng.random(4000) < 0.1)
    cases.execute(
        "INSERT INTO imaging.quality BY NAME SELECT study, participant_id, visit, model_version, 'c' AS check_name, 'pass' AS verdict,"
        " mask_sha256, 'r' AS release FROM imaging.segmentation"
    )
    rows = [
        (str(i), "reject" if is_bad[i] else "accept", 1.0 if is_suspicious[i] else 0.1) for i in np.flatnonzero(is_read)
    ]
    cases.executemany(
        "INSERT INTO imaging.review BY NAME SELECT 'S' AS study, $1 AS participant_id, '30' AS visit, 'v1' AS model_version, 'r1' AS reader,"
        " $2 AS verdict, $3 AS sampling_probability, 'm' || $1 AS mask_sha256, 'i' || $1 AS reading_id, TIMESTAMP '2026-01-01' AS reviewed_at",
        rows,
    )
    refill(cases, "marts.review_rate")
    n_cases, n, n_rejected, pct, low, high = cases.execute(
        "SELECT n_cases, n, n_rejected, rejected_pct, ci_low, ci_high FROM marts.review_rate WHERE grouping = 'all'"
    ).fetchone()
    weights = 1 / np.array([row[2] for row in rows])
    assert (n_cases, n, n_rejected) == (4000, is_read.sum(), (is_bad & is_read).sum())
    assert pct == pytest.approx(100 * np.average(is_bad[is_read], weights=weights))
    assert low < 100 * is_bad.mean() < high and 100 * is_bad[is_read].mean() > 3 * high / 2
