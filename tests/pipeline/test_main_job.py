"""The main job on small synthetic releases: two imaging releases and a cohort, step by step as they would arrive."""

import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import duckdb
import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from dagster_project.settings import Settings
from models.imaging.demo import DemoCase, draw_demo_1, draw_demo_2, write_release
from models.imaging.phantom import person_truth
from models.segmentation.anatomy import LABELS, SIDES
from models.statistics.synthetic import simulate_cohort, simulate_profiles
from models.statistics.synthetic import write_release as write_cohort_release
from tests.pipeline.installation import ROOT, Installation, last_line


def _as(participant_id: str, case: DemoCase, **changes) -> DemoCase:
    return replace(case, person=replace(case.person, participant_id=participant_id), **changes)


DEMO = draw_demo_1()
FIRST = [
    _as("200001", DEMO[2]),
    _as("200002", DEMO[1], has_height=False),
    _as("200003", DEMO[0]),
    _as("200004", DEMO[3], missing=frozenset({("fat", 60)})),
    _as("200005", DEMO[4], is_truncated=True),
]
CORRECTED = _as("200001", draw_demo_2()[-1])


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    """With the model that is shipped as the default."""
    return Installation(tmp_path_factory.mktemp("möre data"), model=Settings().model)


@pytest.fixture(scope="module")
def cohort():
    return simulate_cohort(3, n_women=700, n_men=800)


@pytest.fixture(scope="module")
def published(installation, cohort):
    """After the first imaging release and the cohort."""
    write_release(installation.releases / "first", FIRST)
    write_cohort_release(installation.releases / "cohort", cohort, simulate_profiles(cohort, 3))
    assert last_line(installation.update("first", "cohort")).startswith("published ")
    return installation


def test_deliveries_are_all_accounted_for(published):
    flow = published.query(
        "SELECT step, reason, n FROM stats.participant_flow WHERE source = 'measured' ORDER BY position, reason"
    )
    assert ("known", None, 5) in flow and ("images readable", None, 3) in flow and ("analysed", None, 3) in flow
    assert ("images readable", "missing_slice", 1) in flow and ("images readable", "truncated_archive", 1) in flow
    assert ("with BMI", "height or weight missing", 1) in flow and ("with BMI", None, 2) in flow
    issues = published.query(
        "SELECT path, participant_id, code, is_refusal, item IS NULL FROM raw.intake_issue ORDER BY ALL"
    )
    assert issues == [
        ("imaging/3D_GRE_TRA_W_COMPOSED/200004.zip", "200004", "missing_slice", True, True),
        ("imaging/3D_GRE_TRA_W_COMPOSED/200005.zip", "200005", "truncated_archive", True, True),
        ("participants.csv", "200002", "missing_code", False, False),
    ]


def test_each_side_lies_within_five_percent_of_the_truth(published):
    measures = [f"csa_psoas_{side}_cm2" for side in SIDES] + [f"volume_gluteus_{side}_l" for side in SIDES]
    rows = published.query(
        f"SELECT participant_id, {', '.join(measures)} FROM marts.muscle_phenotype WHERE source = 'measured'"
        " ORDER BY participant_id"
    )
    assert [row[0] for row in rows] == ["200001", "200002", "200003"]
    for case, (_, *values) in zip(FIRST, rows, strict=False):
        truth = person_truth(case.person, case.seed)
        assert values == pytest.approx([truth[measure] for measure in measures], rel=0.05)


def test_statistics_describe_the_analysis_set_alone(published, cohort):
    assert published.query("SELECT study, source, is_synthetic FROM ref.analysis_set") == [
        ("synthetic", "imported", True)
    ]
    women = cohort[cohort["sex"] == "F"]
    ((n, mean, sd),) = published.query(
        "SELECT n, mean, sd FROM stats.descriptive WHERE measure = 'csa_psoas_left_cm2' AND sex = 'F'"
        " AND age_band IS NULL AND bmi_band IS NULL"
    )
    values = women["csa_psoas_left_cm2"].round(5)
    assert (n, mean, sd) == pytest.approx((700, values.mean(), values.std()), rel=1e-6)
    ((median,),) = published.query(
        "SELECT p50 FROM stats.band_percentile WHERE measure = 'volume_gluteus_left_l' AND sex = 'M' AND age_band = '40-49'"
        " AND bmi_band IS NULL"
    )
    men = cohort[(cohort["sex"] == "M") & cohort["age_years"].between(40, 49.95)]
    assert median == pytest.approx(np.percentile(men["volume_gluteus_left_l"], 50), rel=1e-4)


def test_norms_cover_every_muscle_measure_and_sex(published):
    rows = published.query("SELECT measure, sex, count(*) FROM norms.centile_model WHERE refusal IS NULL GROUP BY ALL")
    assert len(rows) == 16 and all(n == 2 for *_, n in rows)
    ((outside,),) = published.query("SELECT count(*) FROM norms.lms WHERE n_near < 10")
    assert outside == 0


def test_aggregate_file_hides_small_cells(published):
    n_cells = "SELECT count(*) FROM stats.descriptive WHERE n IS NULL"
    assert published.query(n_cells)[0][0] == 0 < published.query(n_cells, "normative")[0][0]
    assert published.query(
        "SELECT count(*) FROM stats.descriptive WHERE n < 10 OR (n IS NULL AND mean IS NOT NULL)", "normative"
    ) == [(0,)]
    assert published.query(
        "SELECT count(*) FROM stats.band_percentile WHERE n < 100 AND p10 IS NOT NULL", "normative"
    ) == [(0,)]
    tables = published.query("SELECT DISTINCT schema_name FROM duckdb_tables()", "normative")
    assert {schema for (schema,) in tables} == {"ref", "stats", "norms", "meta"}


def test_contract_holds(published):
    checker = ROOT / "../shared/tools/check_contract.py"
    if not checker.is_file():
        pytest.skip("The contract checker is absent: it lies in shared/tools beside the checkout.")
    process = subprocess.run([sys.executable, checker, published.home], capture_output=True, text=True, check=False)
    assert process.stdout.strip() == "contract holds"


def test_published_files_keep_comments_and_permissions(published):
    current = (published.home / "snapshots" / "current").resolve()
    assert stat.S_IMODE(os.stat(current / "research.duckdb").st_mode) == 0o600
    assert (published.home / "secret.key").stat().st_mode & 0o077 == 0
    assert published.query("SELECT unit FROM meta.data_dictionary WHERE column_name = 'csa_cm2'") == [("cm2",)]
    assert "## norms.centile" in (current / "dictionary.md").read_text()
    assert published.query("SELECT count(*) FROM raw.current_participant")[0][0] > 1500


def test_second_run_changes_nothing(published):
    before = (published.home / "snapshots" / "current").resolve()
    assert last_line(published.update("first", "cohort")) == "unchanged"
    assert (published.home / "snapshots" / "current").resolve() == before


def test_verdicts_and_a_corrected_mask_come_in_without_a_new_delivery(published):
    """A reader rejects 200002 and takes a rejection of 200003 back; a mask of 200001 is corrected; one line is no reading."""
    ledger = {row[0]: row for row in published.query("SELECT participant_id, mask_sha256 FROM imaging.segmentation")}
    rows = [read_case(*ledger["200002"], 1, "reject"), read_case(*ledger["200003"], 2, "reject")]
    rows += [{**rows[1], "reading_id": f"{3:032x}", "verdicts": [], "undoes": f"{2:032x}"}, {**rows[0], "verdicts": 7}]
    (published.home / "reviews").mkdir()
    log = published.home / "reviews" / "r1.jsonl"
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    package = correct_mask(published, "200001")
    assert last_line(published.update("first")).startswith("published ")
    assert published.query("SELECT file, line, code FROM imaging.review_issue") == [("r1.jsonl", 4, "invalid_reading")]
    states = (
        "SELECT participant_id, state, reason FROM marts.participant_state WHERE source = 'measured' AND precedence > 4"
    )
    assert published.query(f"{states} ORDER BY ALL") == [
        ("200001", "analysed with BMI", None),
        ("200002", "rejected by a reader", "swap"),
        ("200003", "analysed with BMI", None),
    ]
    measured = "SELECT model_version, sum(volume_ml), count(*) FROM imaging.muscle WHERE participant_id = '200001' GROUP BY ALL ORDER BY ALL"
    (model, before, _), (corrected, after, n) = published.query(measured)
    assert corrected == f"{model}+corrected" and n == 4 and 0.9 * before < after < before
    ((dice, code),) = published.query("SELECT dice_to_original, code FROM imaging.correction")
    assert code is None and dice == pytest.approx(2 * after / (before + after), rel=1e-6)
    for table in ("csa_profile", "quality", "segmentation"):
        assert published.query(f"SELECT count(*) > 0 FROM imaging.{table} WHERE model_version = '{corrected}'") == [
            (True,)
        ]
    assert published.query("SELECT DISTINCT model_version FROM stats.participant_flow WHERE source = 'measured'") == [
        (model,)
    ]
    assert last_line(published.update("first")) == "unchanged"
    (package / "corrected.nii.gz").unlink()
    log.unlink()


def read_case(participant_id: str, mask_sha256: str, number: int, verdict: str) -> dict:
    """A line of the review page, on a whole case."""
    verdicts = [{"compartment": None, "side": None, "verdict": verdict, "reason": "swap"}]
    case = {"study": "synthetic", "participant_id": participant_id, "visit": "30", "model_version": Settings().model}
    facts = {"mask_sha256": mask_sha256, "reading": "first", "is_blinded": False, "sampling_probability": 1.0}
    facts |= {"comment": None, "seconds": 2.0, "reviewed_at": f"2026-01-0{number}T00:00:00.000Z", "undoes": None}
    return {"reading_id": f"{number:032x}", **case, **facts, "verdicts": verdicts}


def correct_mask(installation: Installation, participant_id: str) -> Path:
    """Export a case and save a corrected mask, one muscle eroded, as 3D Slicer would; returns the package."""
    command = [sys.executable, "-m", "dagster_project.correction", f"synthetic/{participant_id}/30"]
    environment = {**os.environ, "MYONORM_HOME": str(installation.home), "MYONORM_MODEL": installation.model}
    process = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    package = Path(process.stdout.splitlines()[0])
    image = nib.load(package / "mask.nii.gz")
    labels = np.asarray(image.dataobj).copy()
    muscle = labels == LABELS["gluteus", "left"]
    labels[muscle & ~ndimage.binary_erosion(muscle)] = 0
    nib.save(nib.Nifti1Image(labels, image.affine), package / "corrected.nii.gz")
    return package


def test_correction_and_withdrawal_touch_only_whom_they_concern(published):
    """The second release corrects 200001 and withdraws 200003."""
    hashes = dict(published.query("SELECT participant_id, mask_sha256 FROM imaging.segmentation"))
    write_release(published.releases / "second", [CORRECTED], withdrawn=("200003",))
    assert last_line(published.update("second")).startswith("published ")
    after = dict(published.query("SELECT participant_id, mask_sha256 FROM imaging.segmentation"))
    assert after.keys() == {"200001", "200002"}
    assert after["200002"] == hashes["200002"] and after["200001"] != hashes["200001"]
    ((csa,),) = published.query(
        "SELECT csa_psoas_total_cm2 FROM marts.muscle_phenotype WHERE participant_id = '200001'"
    )
    assert csa == pytest.approx(person_truth(CORRECTED.person, CORRECTED.seed)["csa_psoas_total_cm2"], rel=0.05)
    for schema, table, column in published.query(
        "SELECT schema_name, table_name, column_name FROM duckdb_columns() WHERE column_name IN ('participant_id', 'path')"
        " AND schema_name IN ('raw', 'imaging', 'marts', 'scores')"
    ):
        assert published.query(f"SELECT count(*) FROM {schema}.{table} WHERE {column} LIKE '%200003%'") == [(0,)], table
    assert not (published.home / "derivatives" / "synthetic" / "200003").exists()
    assert len(published.query("FROM raw.withdrawal")) == 1
    assert last_line(published.update("first")) == "unchanged"
    (published.releases / "first" / "participants.csv").touch()
    assert last_line(published.update("first")).startswith("published ")
    assert dict(published.query("SELECT participant_id, mask_sha256 FROM imaging.segmentation")) == after
    assert published.query("SELECT participant_id FROM raw.intake_issue WHERE code = 'withdrawn'") == [(None,)]


def test_failed_check_blocks_publication_and_the_last_snapshot_stays(published):
    """Runs last: one slice is there twice."""
    before = (published.home / "snapshots" / "current").resolve()
    with duckdb.connect(str(published.home / "warehouse.duckdb")) as connection:
        connection.execute(
            "INSERT INTO imaging.csa_profile FROM imaging.csa_profile WHERE model_version <> 'imported' LIMIT 1"
        )
    (published.releases / "first" / "participants.csv").touch()
    assert last_line(published.update("first")).startswith("blocked: imaging.csa_profile:unique")
    assert (published.home / "snapshots" / "current").resolve() == before
