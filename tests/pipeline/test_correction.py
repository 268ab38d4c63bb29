"""A case goes out for correction by hand and its mask comes back as a version of its own; verdicts come in beside it."""

import json
from functools import lru_cache

import duckdb
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from dagster_project import update
from dagster_project.correction import NoCase, write_package
from dagster_project.defs.review import read_log, take_in_corrections
from dagster_project.engine import Outcome
from dagster_project.settings import load_settings
from dagster_project.warehouse import declare_schema, insert
from models.imaging.dixon import CONTRASTS
from models.imaging.nifti import combined_sha256, write_contrasts, write_volume
from models.imaging.phantom import Person, Phantom, render
from models.segmentation.anatomy import LABELS

KEY = {"study": "synthetic", "participant_id": "100001", "visit": "30"}
MODEL = "phantom-v1"


class Here:
    """An engine that works in this process."""

    def run(self, function, cases, deadline_s):
        for case in cases:
            try:
                yield Outcome(case, function(case))
            except ValueError as error:
                yield Outcome(case, code=error.code, message=error.message)


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("MYONORM_HOME", str(tmp_path))
    monkeypatch.setenv("MYONORM_MODEL", MODEL)
    monkeypatch.setattr("dagster_project.engine.open_engine", lambda _: Here())
    load_settings.cache_clear()
    yield load_settings()
    load_settings.cache_clear()


@pytest.fixture
def mask_sha256(settings) -> str:
    """A stored case with its mask, in a warehouse on disk; returns the hash of the mask."""
    phantom = draw_phantom()
    folder = settings.home / "derivatives" / "synthetic" / "100001" / "30"
    folder.mkdir(parents=True)
    hashes = write_contrasts(folder, phantom.dixon, {contrast: {"contrast": contrast} for contrast in CONTRASTS})
    sha256 = write_volume(folder / f"{MODEL}_dseg.nii.gz", phantom.labels, phantom.dixon.affine, {})
    mask_path = f"derivatives/synthetic/100001/30/{MODEL}_dseg.nii.gz"
    ledger = {**KEY, "model_version": MODEL, "status": "done", "attempts": 1, "is_low_memory": False}
    ledger |= {"image_sha256": combined_sha256(hashes), "mask_path": mask_path, "mask_sha256": sha256}
    series = {"contrast": list(CONTRASTS), "image_sha256": [hashes[contrast] for contrast in CONTRASTS]}
    fixed = {
        "shape": [[1, 1, 1]] * 4,
        "spacing": [[1.0, 1, 1]] * 4,
        "orientation": "RAS",
        "n_instances": 4,
        "nifti_path": "p",
    }
    with open_warehouse(settings) as connection:
        connection.execute("INSERT INTO raw.release VALUES ('r', 'synthetic', 1, 'f', true, NULL, '2026-01-01')")
        insert(connection, "raw.dixon_series", pd.DataFrame(series).assign(**KEY, release="r", **fixed))
        insert(connection, "imaging.segmentation", pd.DataFrame([ledger]))
        connection.execute("INSERT INTO ref.review_reason VALUES ('swap', 'Swap', 1)")
    return sha256


@lru_cache
def draw_phantom() -> Phantom:
    return render(Person("100001", "F", 50, 165.0, 70.0), 4)


def open_warehouse(settings) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(str(settings.warehouse_file))
    connection.execute("SET VARIABLE code_version = 'test'")
    declare_schema(connection)
    return connection


def save_correction(package, change) -> None:
    """What 3D Slicer saves after `change` of the label map."""
    image = nib.load(package / "mask.nii.gz")
    labels = np.asarray(image.dataobj).copy()
    change(labels)
    nib.save(nib.Nifti1Image(labels, image.affine), package / "corrected.nii.gz")


def erode(labels) -> None:
    muscle = labels == LABELS["gluteus", "left"]
    labels[muscle & ~ndimage.binary_erosion(muscle)] = 0


def rows_of(connection, table: str) -> list[tuple]:
    return connection.execute(f"SELECT DISTINCT model_version FROM imaging.{table} ORDER BY ALL").fetchall()


def test_a_corrected_mask_is_a_version_of_its_own_in_every_table(settings, mask_sha256):
    package = write_package(*KEY.values())
    assert {path.name for path in package.iterdir()} == {
        *("in.nii.gz", "opp.nii.gz", "fat.nii.gz", "water.nii.gz", "mask.nii.gz"),
        *("myonorm.ctbl", "README.md", "correction.json"),
    }
    with pytest.raises(NoCase, match="exists"):
        write_package(*KEY.values())
    save_correction(package, erode)
    with open_warehouse(settings) as connection:
        take_in_corrections(connection, settings)
        corrected = (f"{MODEL}+corrected",)
        assert (
            rows_of(connection, "muscle")
            == rows_of(connection, "csa_profile")
            == rows_of(connection, "quality")
            == [corrected]
        )
        assert rows_of(connection, "segmentation") == [(MODEL,), corrected]
        before = (np.asarray(nib.load(package / "mask.nii.gz").dataobj) == LABELS["gluteus", "left"]).sum()
        image = nib.load(package / "corrected.nii.gz")
        after = (np.asarray(image.dataobj) == LABELS["gluteus", "left"]).sum()
        ((volume,),) = connection.execute(
            "SELECT volume_ml FROM imaging.muscle WHERE compartment = 'gluteus' AND side = 'left'"
        ).fetchall()
        assert volume == pytest.approx(after * abs(np.linalg.det(image.affine[:3, :3])) / 1000) and after < before
        ((dice, code, hash_of_original),) = connection.execute(
            "SELECT dice_to_original, code, original_mask_sha256 FROM imaging.correction"
        ).fetchall()
        total = (np.asarray(image.dataobj) > 0).sum()
        assert dice == pytest.approx(2 * total / (2 * total + before - after)) and code is None
        assert hash_of_original == mask_sha256
        take_in_corrections(connection, settings)
        assert connection.execute("SELECT count(*) FROM imaging.muscle").fetchall() == [(4,)]
        (package / "corrected.nii.gz").unlink()
        take_in_corrections(connection, settings)
        assert rows_of(connection, "segmentation") == [(MODEL,)] and rows_of(connection, "muscle") == []
    assert (settings.home / f"derivatives/synthetic/100001/30/{MODEL}_overlay.webp").exists() is False


@pytest.mark.parametrize(
    ("change", "code"),
    [(lambda labels: None, "unchanged_mask"), (lambda labels: labels.fill(0), "empty_annotation")],
    ids=["unchanged", "empty"],
)
def test_a_corrected_mask_that_cannot_be_used_is_refused_with_its_code(settings, mask_sha256, change, code):
    save_correction(write_package(*KEY.values()), change)
    with open_warehouse(settings) as connection:
        take_in_corrections(connection, settings)
        ((found, message),) = connection.execute("SELECT code, message FROM imaging.correction").fetchall()
        assert found == code and message.endswith(".") and rows_of(connection, "segmentation") == [(MODEL,)]


def test_a_correction_of_a_mask_that_was_replaced_is_taken_out(settings, mask_sha256):
    save_correction(write_package(*KEY.values()), erode)
    with open_warehouse(settings) as connection:
        take_in_corrections(connection, settings)
        connection.execute(f"UPDATE imaging.segmentation SET mask_sha256 = 'new' WHERE model_version = '{MODEL}'")
        write_volume(
            settings.home / f"derivatives/synthetic/100001/30/{MODEL}_dseg.nii.gz",
            np.ones((3, 3, 3), np.uint8),
            np.eye(4),
            {},
        )
        take_in_corrections(connection, settings)
        assert connection.execute("SELECT code FROM imaging.correction").fetchall() == [("original_changed",)]
        assert rows_of(connection, "muscle") == []


def test_a_case_without_a_mask_is_not_exported(settings, mask_sha256):
    for case in (("synthetic", "100002", "30"), ("other", "100001", "30")):
        with pytest.raises(NoCase, match="no mask"):
            write_package(*case)


def test_new_verdicts_and_corrections_make_an_update_run(settings, mask_sha256):
    """Compared with the current snapshot: equal, then a verdict, then a corrected mask more."""
    snapshot = settings.snapshots / "20260101T000000Z"
    snapshot.mkdir(parents=True)
    (settings.snapshots / "current").symlink_to(snapshot.name)
    with duckdb.connect(str(snapshot / "research.duckdb")) as research:
        declare_schema(research)
    assert not update.has_new_reviews()
    reviews = settings.home / "reviews"
    reviews.mkdir()
    verdict = {"compartment": None, "side": None, "verdict": "reject", "reason": "swap"}
    line = {**KEY, "model_version": MODEL, "mask_sha256": mask_sha256, "reading_id": "0" * 32, "reading": "first"}
    line |= {"is_blinded": False, "sampling_probability": 1.0, "comment": None, "seconds": 2.0, "undoes": None}
    (reviews / "r1.jsonl").write_text(
        json.dumps({**line, "verdicts": [verdict], "reviewed_at": "2026-01-01T00:00:00Z"})
    )
    assert update.has_new_reviews()
    with open_warehouse(settings) as connection, duckdb.connect(str(snapshot / "research.duckdb")) as research:
        log = read_log(connection, settings)
        insert(connection, "imaging.review", log.rows)
        insert(research, "imaging.review_file", log.files)
        assert connection.execute("SELECT state, reason FROM imaging.rejection").fetchall() == [
            ("rejected by a reader", "swap")
        ]
    assert not update.has_new_reviews()
    save_correction(write_package(*KEY.values()), erode)
    assert update.has_new_reviews()
