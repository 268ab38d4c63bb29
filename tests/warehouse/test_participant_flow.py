"""Everybody ends in exactly one state, and the counts are those of the paper where the paper's people are."""

import duckdb
import pytest

from dagster_project.catalog import SQL
from tests.warehouse.conftest import refill

TABLES = ("marts.muscle_phenotype", "marts.participant_state", "stats.participant_flow")
CHECKS = ("stats__participant_flow__complete", "marts__participant_state__complete")
# Participants 0 ... 30,926 of NAKO as the study counts them (science.md, section 1).
PAPER = """
    INSERT INTO raw.release VALUES ('nako', 'NAKO', 1, 'f', true, NULL, '2026-01-01');
    CREATE TEMP TABLE person AS SELECT i, format('{:06d}', i) AS participant_id FROM range(30927) AS r (i);
    INSERT INTO raw.participant BY NAME
    SELECT 'NAKO' AS study, participant_id, '30' AS visit, 'nako' AS release, if(i % 2 = 0, 'F', 'M') AS sex, 50 AS age_years,
        if(i >= 29981, NULL, 170) AS height_cm, 72.25 AS weight_kg, if(i >= 29981, NULL, 25) AS bmi_kg_m2
    FROM person;
    INSERT INTO raw.intake_issue BY NAME
    SELECT 'nako' AS release, 'imaging/' || i AS path, 'truncated_archive' AS code, 'm' AS message, participant_id, '30' AS visit, true AS is_refusal
    FROM person WHERE i < 1410;
    INSERT INTO raw.dixon_series BY NAME
    SELECT 'NAKO' AS study, participant_id, '30' AS visit, unnest(['in', 'opp', 'fat', 'water']) AS contrast, 'nako' AS release,
        [1, 1, 1] AS shape, [1, 1, 1] AS spacing, 'RAS' AS orientation, 4 AS n_instances, 'h' AS image_sha256, 'p' AS nifti_path
    FROM person WHERE i >= 2410;
    INSERT INTO imaging.segmentation BY NAME
    SELECT 'NAKO' AS study, participant_id, '30' AS visit, 'v1' AS model_version, 'done' AS status, 1 AS attempts, 'h' AS image_sha256
    FROM person WHERE i >= 2410;
    INSERT INTO imaging.muscle BY NAME
    SELECT 'NAKO' AS study, participant_id, '30' AS visit, 'v1' AS model_version, compartment, side, 1000 AS volume_ml, 12 AS max_csa_cm2, 'm' AS mask_sha256, 'nako' AS release
    FROM person, unnest(['psoas', 'gluteus']) AS c (compartment), unnest(['left', 'right']) AS d (side) WHERE i >= 2410;
    INSERT INTO imaging.review BY NAME
    SELECT 'NAKO' AS study, participant_id, '30' AS visit, 'v1' AS model_version, 'r1' AS reader, 'reject' AS verdict, 'swap' AS reason,
        TIMESTAMP '2026-01-02' AS reviewed_at
    FROM person WHERE i BETWEEN 2410 AND 3121;
"""


def flow(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, str | None], int]:
    refill(connection, *TABLES)
    for name in CHECKS:
        assert connection.execute((SQL / "checks" / f"{name}.sql").read_text()).fetchall() == [], name
    rows = connection.execute("SELECT step, reason, n FROM stats.participant_flow").fetchall()
    return {(step, reason): n for step, reason, n in rows}


def test_the_papers_flow(connection):
    connection.execute(PAPER)
    counts = flow(connection)
    assert counts["known", None] == 30_927
    assert counts["images delivered", "no images delivered"] + counts["images readable", "truncated_archive"] == 2_410
    assert counts["analysed", "rejected by a reader"] == 712
    assert counts["known", None] - counts["analysed", None] == 3_122
    assert counts["analysed", None] == 27_805
    assert counts["with BMI", "height or weight missing"] == 946
    assert counts["with BMI", None] == 26_859
    assert connection.execute(
        "SELECT count(*), count(DISTINCT participant_id) FROM marts.participant_state"
    ).fetchall() == [(30_927, 30_927)]


@pytest.fixture
def few(connection):
    """Twelve participants of the paper's fixture, all analysed with BMI."""
    connection.execute(PAPER.replace("range(30927)", "range(10000, 10012)"))
    return connection


def state_of(connection, participant_id):
    return connection.execute(
        "SELECT state, reason FROM marts.participant_state WHERE participant_id = ? ORDER BY visit", [participant_id]
    ).fetchall()


def test_automatic_rejection_comes_before_a_readers_and_failure_before_both(few):
    few.execute(
        """
        INSERT INTO imaging.quality BY NAME
        SELECT 'NAKO' AS study, unnest(['010000', '010001', '010002']) AS participant_id, '30' AS visit, 'v1' AS model_version,
            unnest(['swap', 'swap', 'noise']) AS check_name, unnest(['fail', 'fail', 'warn']) AS verdict;
        INSERT INTO imaging.review BY NAME
        SELECT 'NAKO' AS study, unnest(['010001', '010003', '010004', '010004']) AS participant_id, '30' AS visit,
            'v1' AS model_version, 'r1' AS reader, unnest(['reject', 'reject', 'reject', 'accept']) AS verdict, 'blurred' AS reason,
            unnest([TIMESTAMP '2026-01-01', '2026-01-01', '2026-01-01', '2026-01-02']) AS reviewed_at;
        UPDATE imaging.segmentation SET status = 'failed', code = 'deadline' WHERE participant_id = '010001';
        DELETE FROM imaging.muscle WHERE participant_id = '010001';
        """
    )
    counts = flow(few)
    assert state_of(few, "010000") == [("rejected automatically", "swap")]
    assert state_of(few, "010001") == [("segmentation failed", "deadline")]
    assert state_of(few, "010002") == [("analysed with BMI", None)]
    assert state_of(few, "010003") == [("rejected by a reader", "blurred")]
    assert state_of(few, "010004") == [("analysed with BMI", None)]
    assert counts["analysed", "rejected automatically"] == counts["analysed", "rejected by a reader"] == 1
    assert counts["segmented", "deadline"] == 1 and counts["analysed", None] == 9


def test_a_rejected_muscle_is_null_and_the_rest_is_analysed(few):
    few.execute(
        "INSERT INTO imaging.review BY NAME SELECT 'NAKO' AS study, '010000' AS participant_id, '30' AS visit, 'v1' AS model_version,"
        " 'psoas' AS compartment, 'left' AS side, 'r1' AS reader, 'reject' AS verdict, now()::TIMESTAMP AS reviewed_at"
    )
    flow(few)
    assert state_of(few, "010000") == [("analysed with BMI", None)]
    assert few.execute(
        "SELECT csa_psoas_left_cm2, csa_psoas_right_cm2, csa_psoas_total_cm2, volume_gluteus_total_l"
        " FROM marts.muscle_phenotype WHERE participant_id = '010000'"
    ).fetchall() == [(None, 12, None, 2)]


def test_a_person_counts_once_and_each_visit_has_its_state(few):
    """A second visit that was refused, and a refusal that does not tell its visit."""
    few.execute(
        """
        INSERT INTO raw.participant BY NAME SELECT * REPLACE ('60' AS visit, NULL AS bmi_kg_m2) FROM raw.participant WHERE participant_id = '010000';
        INSERT INTO raw.intake_issue VALUES ('nako', 'imaging/a', NULL, 'missing_slice', 'm', '010000', '60', true);
        INSERT INTO raw.intake_issue VALUES ('nako', 'imaging/b', NULL, 'not_mr', 'm', '999999', NULL, true);
        """
    )
    counts = flow(few)
    assert state_of(few, "010000") == [("analysed with BMI", None), ("refused at intake", "missing_slice")]
    assert counts["known", None] == 13 and counts["analysed", None] == 12
    assert counts["images readable", "not_mr"] == 1


def test_bmi_counts_at_the_first_analysed_visit(few):
    few.execute(
        """
        UPDATE raw.participant SET bmi_kg_m2 = NULL WHERE participant_id = '010000';
        INSERT INTO raw.participant BY NAME SELECT * REPLACE ('60' AS visit, 25 AS bmi_kg_m2, 54 AS age_years) FROM raw.participant WHERE participant_id = '010000';
        INSERT INTO raw.dixon_series BY NAME SELECT * REPLACE ('60' AS visit) FROM raw.dixon_series WHERE participant_id = '010000';
        INSERT INTO imaging.segmentation BY NAME SELECT * REPLACE ('60' AS visit) FROM imaging.segmentation WHERE participant_id = '010000';
        INSERT INTO imaging.muscle BY NAME SELECT * REPLACE ('60' AS visit) FROM imaging.muscle WHERE participant_id = '010000';
        """
    )
    counts = flow(few)
    assert state_of(few, "010000") == [("analysed without BMI", None), ("analysed with BMI", None)]
    assert counts["with BMI", "height or weight missing"] == 1 and counts["with BMI", None] == 11


def test_withdrawn_and_not_yet_segmented_are_counted(few):
    few.execute(
        """
        INSERT INTO raw.withdrawal VALUES ('NAKO', 'h1', 'nako', 'measured'), ('NAKO', 'h1', 'later', 'measured'),
            ('NAKO', 'h2', 'nako', NULL), ('other', 'h3', 'x', 'measured');
        DELETE FROM imaging.segmentation WHERE participant_id = '010000';
        DELETE FROM imaging.muscle WHERE participant_id = '010000';
        """
    )
    counts = flow(few)
    assert counts["known", None] == 13 and counts["not withdrawn", "withdrawn"] == 1
    assert counts["segmented", "not yet segmented or measured"] == 1


def test_imported_values_have_their_own_flow(connection):
    connection.execute(
        """
        INSERT INTO raw.release VALUES ('t', 'S', 1, 'f', false, NULL, '2026-01-01');
        INSERT INTO raw.participant BY NAME
        SELECT 'S' AS study, unnest(['a', 'b', 'c']) AS participant_id, '1' AS visit, 't' AS release, 'F' AS sex, 40 AS age_years,
            unnest([24, NULL, 24]) AS bmi_kg_m2;
        INSERT INTO raw.measurement SELECT 'S', unnest(['a', 'b']), '1', 't', 'csa_psoas_total_cm2', 24, 'cm2';
        """
    )
    counts = flow(connection)
    assert counts == {
        ("known", None): 3,
        ("not withdrawn", None): 3,
        ("analysed", "no values delivered"): 1,
        ("analysed", None): 2,
        ("with BMI", "height or weight missing"): 1,
        ("with BMI", None): 1,
    }
