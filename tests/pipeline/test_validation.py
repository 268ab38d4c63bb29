"""Annotations from their door to Table 3 and Bland-Altman: on synthetic participants, with masks of known quality."""

import json
import shutil
from dataclasses import replace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from dagster_project.annotate import NoSample, write_package
from dagster_project.catalog import compile_catalog
from dagster_project.defs.sql_assets import build_asset
from dagster_project.defs.statistics import measure
from dagster_project.defs.validation import agreement, store_phantom_scores
from dagster_project.identity import Identity
from dagster_project.settings import load_settings
from dagster_project.warehouse import Warehouse, insert
from models.imaging.demo import draw_demo_1, write_release
from models.imaging.nifti import read_volume, write_volume
from models.segmentation.inference import open_model
from tests.pipeline.assets import COARSE, Assets, environment

WHO = ("100001", "100002", "100003", "100004", "100006")
SCORES = "imaging.segmentation_score"
DERIVED = [build_asset(compile_catalog().tables[f"stats.{name}"]) for name in ("segmentation_score", "training_set")]
STATISTICS = [measure, agreement, *DERIVED]


class Pipeline(Assets):
    """Masks come from nowhere: what is tested is what follows from them."""

    def enter_masks(self, model_version: str, who=WHO) -> None:
        """Enter masks into the ledger as segmentation would: the true masks, every other moved by a voxel."""
        rows = self.query(
            "SELECT participant_id, sha256(string_agg(image_sha256, '' ORDER BY list_position(['in', 'opp', 'fat', 'water'], contrast)))"
            " FROM raw.current_dixon_series GROUP BY ALL"
        )
        ledger = []
        for participant_id, image_sha256 in rows:
            if participant_id not in who:
                continue
            folder = self.home / "derivatives" / "synthetic" / participant_id / "30"
            truth, affine = read_volume(next(folder.glob("*truth-1_annotation.nii.gz")))
            mask = np.asfortranarray(np.roll(truth, int(participant_id) % 2, axis=1))
            path = folder / f"{model_version}_dseg.nii.gz"
            ledger.append(
                {
                    "study": "synthetic",
                    "participant_id": participant_id,
                    "visit": "30",
                    "model_version": model_version,
                    "status": "done",
                    "attempts": 1,
                    "image_sha256": image_sha256,
                    "mask_path": str(path.relative_to(self.home)),
                    "mask_sha256": write_volume(path, mask, affine, {}),
                    "precision": "bfloat16",
                    "is_low_memory": False,
                }
            )
        with Warehouse().connect() as connection:
            insert(connection, "imaging.segmentation", pd.DataFrame(ledger))


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """After intake of a release with five annotated participants, two readings each; the model is a copy of the shipped."""
    root = tmp_path_factory.mktemp("validation")
    shutil.copytree(open_model("phantom-v1").folder, root / "model")
    with environment(HOME=root / "home", MODEL=root / "model", DEVICE="cpu"):
        pipeline = Pipeline(root / "home")
        write_release(pipeline.home / "releases" / "r", draw_demo_1()[:6], grid=COARSE, annotated=WHO)
        pipeline.take_in("r")
        yield pipeline


def test_annotations_are_stored_with_hash_and_sidecar(pipeline):
    rows = pipeline.query(
        "SELECT participant_id, reader, reading, role, is_blinded, has_all_labels, annotation_path, annotation_sha256"
        " FROM raw.annotation ORDER BY ALL"
    )
    assert [row[:6] for row in rows] == [
        (who, "truth", reading, "test", True, True) for who in WHO for reading in (1, 2)
    ]
    for *_, path, sha256 in rows:
        read_volume(pipeline.home / path)
        sidecar = json.loads((pipeline.home / path.replace(".nii.gz", ".json")).read_text())
        assert sidecar["image_sha256"] == sha256 and sidecar["study"] == "synthetic"


def test_unchanged_annotations_are_not_opened_again(pipeline):
    before = pipeline.query("FROM raw.annotation ORDER BY ALL")
    assert not any("annotations" in line for line in pipeline.take_in("r"))
    assert pipeline.query("FROM raw.annotation ORDER BY ALL") == before


def test_scores_pairs_and_tables(pipeline):
    pipeline.enter_masks("phantom-v1")
    assert pipeline.validate(*STATISTICS) == {"scored": 10, "failed": 0, "outdated": 0}
    kinds = pipeline.query(
        f"SELECT comparison, validation, model_version, count(*) FROM {SCORES} GROUP BY ALL ORDER BY ALL"
    )
    assert kinds == [("automatic", "test", "phantom-v1", 20), ("intra_reader", None, None, 20)]
    ((n, mean, sd),) = pipeline.query(
        "SELECT n, mean, sd FROM stats.segmentation_score WHERE metric = 'dice' AND comparison = 'automatic'"
        " AND compartment = 'gluteus' AND side = 'left' AND sex IS NULL AND size_third IS NULL"
    )
    dice = [
        row[0]
        for row in pipeline.query(
            f"SELECT dice FROM {SCORES} WHERE comparison = 'automatic' AND compartment = 'gluteus' AND side = 'left'"
        )
    ]
    assert (n, mean, sd) == pytest.approx((5, np.mean(dice), np.std(dice, ddof=1))) and 0.5 < mean < 1
    pairs = pipeline.query(
        "SELECT automatic - manual FROM imaging.agreement_pair WHERE measure = 'csa_psoas_total_cm2'"
    )
    ((n, unit, bias),) = pipeline.query(
        "SELECT n, unit, bias FROM stats.agreement WHERE measure = 'csa_psoas_total_cm2'"
    )
    assert (n, unit, bias) == (5, "cm2", pytest.approx(np.mean(pairs)))
    assert len(pipeline.query("FROM stats.agreement")) == 6
    assert pipeline.query("SELECT n, mean FROM stats.training_set WHERE measure = 'age_years' AND sex IS NULL") == (
        pipeline.query("SELECT count(*), avg(age_years) FROM raw.participant WHERE participant_id IN " + str(WHO))
    )


def test_second_run_scores_nothing_and_a_new_mask_alone(pipeline):
    before = pipeline.query(f"FROM {SCORES} ORDER BY ALL")
    with Warehouse().connect() as connection:
        connection.execute("DELETE FROM imaging.segmentation WHERE participant_id = '100001'")
    pipeline.validate()
    assert pipeline.query(f"SELECT count(*) FROM {SCORES} WHERE comparison = 'automatic'") == [(16,)]
    assert pipeline.query("SELECT count(*) FROM imaging.agreement_pair") == [(24,)]
    pipeline.enter_masks("phantom-v1", who=("100001",))
    assert pipeline.validate()["scored"] == 1
    assert pipeline.validate()["scored"] == 0
    assert pipeline.query(f"FROM {SCORES} ORDER BY ALL") == before


def test_training_case_is_scored_by_the_fold_that_did_not_see_it_and_never_as_test(pipeline):
    model = pipeline.home.parent / "model"
    identity = Identity("synthetic", load_settings().resolve_secret_key(), is_hashed=False)
    splits = [{"fold": 0, "validation": [identity.case_name("100002", "30")]}]
    (model / "splits.json").write_text(json.dumps(splits))
    table = pipeline.home / "releases" / "r" / "annotations.csv"
    table.write_text(table.read_text().replace("100003,30,truth,1,test", "100003,30,truth,1,train"))
    pipeline.take_in("r")
    assert pipeline.validate()["failed"] == 0
    kinds = dict(pipeline.query(f"SELECT participant_id, validation FROM {SCORES} WHERE comparison = 'automatic'"))
    assert kinds == {"100001": "test", "100002": "out_of_fold", "100004": "test", "100006": "test"}
    assert pipeline.query(f"SELECT min(dice) > 0.5 FROM {SCORES} WHERE validation = 'out_of_fold'") == [(True,)]
    assert pipeline.query("SELECT count(*) FROM imaging.agreement_pair WHERE validation = 'out_of_fold'") == [(6,)]
    (sidecar,) = pipeline.home.rglob("*_fold-0_dseg.json")
    assert json.loads(sidecar.read_text())["precision"] == "bfloat16", "as the model's masks in the ledger"


def test_faults_are_issues_and_the_rest_is_taken_in(pipeline):
    """A second reader's masks, three of them faulty; a row without mask, a mask without row."""
    folder = pipeline.home / "releases" / "faults"
    (folder / "annotations").mkdir(parents=True)
    (folder / "release.toml").write_text('study = "synthetic"\n')
    source = pipeline.home / "releases" / "r" / "annotations"
    truth = nib.load(source / "100001_30_truth-1.nii.gz")
    labels, exchanged = np.asarray(truth.dataobj), np.array([0, 2, 1, 4, 3], np.uint8)

    def write(name, mask):
        nib.save(nib.Nifti1Image(mask, truth.affine), folder / "annotations" / name)

    shutil.copy(source / "100001_30_truth-2.nii.gz", folder / "annotations" / "100001_30_B-1.nii.gz")
    write("100001_30_B-2.nii.gz", exchanged[labels])
    write("100001_30_B-3.nii.gz", labels[1:])
    write("999999_30_B-1.nii.gz", labels)
    write("Jane Doe.nii.gz", labels)
    (folder / "annotations" / "100002_30_B-1.nii.gz").write_bytes(b"no image")
    rows = ["100001,30,B,1", "100001,30,B,2", "100001,30,B,3", "999999,30,B,1", "100002,30,B,1", "100003,30,B,1"]
    lines = ["participant_id,visit,reader,reading,role,blinded", *(f"{row},test,yes" for row in rows)]
    (folder / "annotations.csv").write_text("\n".join([*lines, "100004,30,B,0,test,yes", "100004,30,B,1,both,yes"]))
    pipeline.take_in("faults")
    issues = pipeline.query(
        "SELECT path, code, participant_id FROM raw.intake_issue WHERE release = 'faults' ORDER BY code, path"
    )
    found = {(path if "h-" not in path else "hashed", code, who) for path, code, who in issues}
    assert found == {
        ("annotations/100001_30_B-2.nii.gz", "sides_exchanged", "100001"),
        ("annotations/100001_30_B-3.nii.gz", "annotation_grid_differs", "100001"),
        ("annotations/999999_30_B-1.nii.gz", "annotation_without_images", "999999"),
        ("annotations/100002_30_B-1.nii.gz", "unreadable_nifti", "100002"),
        ("annotations.csv", "annotation_without_mask", "100003"),
        ("annotations.csv", "invalid_reading", "100004"),
        ("annotations.csv", "invalid_role", "100004"),
        ("hashed", "annotation_without_row", None),
    }
    assert pipeline.query("SELECT reader, reading FROM raw.annotation WHERE release = 'faults'") == [("B", 1)]
    pipeline.validate()
    assert pipeline.query(
        f"SELECT DISTINCT comparison, reader, other_reader, other_reading FROM {SCORES} WHERE participant_id = '100001'"
        " ORDER BY ALL"
    ) == [
        ("automatic", "B", None, None),
        ("inter_reader", "B", "truth", 1),
        ("intra_reader", "truth", "truth", 2),
    ]


def test_replaced_images_put_their_annotations_out_of_force(pipeline):
    case = draw_demo_1()[1]
    write_release(pipeline.home / "releases" / "new", [replace(case, seed=case.seed + 1)], grid=COARSE)
    pipeline.take_in("new")
    assert pipeline.validate()["outdated"] == 2
    assert pipeline.query(f"SELECT count(*) FROM {SCORES} WHERE participant_id = '100002'") == [(0,)]


def test_work_package_holds_the_sample_and_only_what_nobody_annotated(pipeline):
    package = write_package("synthetic", 1, 3, is_stratified=True)
    names = {path.name for path in (package / "100005_30").iterdir()}
    assert names == {"in.nii.gz", "opp.nii.gz", "fat.nii.gz", "water.nii.gz", "labels.nii.gz"}
    assert (package / "annotations.csv").read_text().splitlines()[1:] == ["100005,30,,1,,,"]
    record = json.loads((package / "sample.json").read_text())
    assert (record["seed"], record["population"], len(record["strata"])) == (3, 1, 1)
    with pytest.raises(NoSample, match="fewer than 2"):
        write_package("synthetic", 2, 3, is_stratified=False)


def test_model_trained_on_phantoms_brings_its_out_of_fold_scores(pipeline):
    """Once, and they stay where another model is validated."""
    model = open_model("phantom-v2")
    for _ in range(2):
        with Warehouse().connect() as connection:
            store_phantom_scores(connection, model)
    pipeline.validate(*DERIVED)
    brought = pd.read_csv(model.folder / "out_of_fold.csv")
    means = brought.groupby(["compartment", "side"])["dice"].mean()
    rows = pipeline.query(
        "SELECT compartment, side, metric, sex, size_third, n, mean FROM stats.segmentation_score"
        " WHERE model_version = 'phantom-v2' AND validation = 'out_of_fold'"
    )
    assert sorted(rows) == sorted((*key, "dice", None, None, 60, pytest.approx(mean)) for key, mean in means.items()), (
        "size and sex are not known, other metrics were not computed"
    )
    assert pipeline.query(f"SELECT count(*) FROM {SCORES} WHERE hd95_mm IS NULL AND reason IS NULL") == [(0,)]


def test_withdrawal_removes_annotations_scores_masks_and_work(pipeline):
    """Runs last."""
    identity = Identity("synthetic", load_settings().resolve_secret_key(), is_hashed=False)
    for version, who in (("with", "100001"), ("without", "100002")):
        raw, model = pipeline.home / "training" / version / "raw" / "d" / "labelsTr", pipeline.home / "models" / version
        raw.mkdir(parents=True)
        model.mkdir(parents=True)
        (raw / f"{identity.case_name(who, '30')}.nii.gz").touch()
        (model / "splits.json").write_text(json.dumps([{"fold": 0, "validation": [identity.case_name(who, "30")]}]))
    folder = pipeline.home / "releases" / "gone"
    folder.mkdir()
    (folder / "release.toml").write_text('study = "synthetic"\n')
    (folder / "withdrawals.csv").write_text("participant_id\n100001\n100005\n")
    pipeline.take_in("gone")
    pipeline.take_in("r")
    for table in ("raw.annotation", SCORES, "imaging.agreement_pair", "raw.intake_issue"):
        assert pipeline.query(f"SELECT count(*) FROM {table} WHERE participant_id = '100001'") == [(0,)], table
    assert not (pipeline.home / "derivatives" / "synthetic" / "100001").exists()
    assert not list(pipeline.home.glob("work_packages/*/100005*"))
    for path in (pipeline.home / "work_packages").rglob("*.*"):
        assert "100005" not in path.read_text()
    assert not pipeline.query("SELECT path FROM raw.intake_issue WHERE path LIKE '%100001%'")
    assert [path.name for path in (pipeline.home / "training").iterdir()] == ["without"]
    listed = pd.read_csv(pipeline.home / "withdrawals" / "to_destroy.csv")
    assert listed.loc[listed["kind"] == "model", "name"].to_list() == ["with"]
