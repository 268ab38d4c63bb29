"""Which annotated cases train a network, and what is refused before anything is trained."""

import dagster as dg
import duckdb
import numpy as np
import pandas as pd
import pytest

from dagster_project.defs.training import Training, load_cases
from dagster_project.settings import load_settings
from dagster_project.warehouse import declare_schema, insert
from models.imaging.dixon import CONTRASTS
from models.imaging.nifti import write_volume

AFFINE = np.diag([4.0, 4.0, 6.0, 1.0])
IDS = [f"20000{i}" for i in range(1, 6)]


@pytest.fixture
def warehouse(tmp_path):
    """Five training cases; the first has two readings, a sixth case is for tests, a seventh's images have changed since."""
    with duckdb.connect() as connection:
        declare_schema(connection)
        insert(connection, "raw.release", pd.DataFrame([_release()]))
        for i, participant_id in enumerate([*IDS, "200006", "200007"]):
            (tmp_path / participant_id).mkdir()
            hashes = [_store_contrast(connection, tmp_path, participant_id, contrast) for contrast in CONTRASTS]
            role, image = ("test" if i == 5 else "train"), ("changed" if i == 6 else hashes[0])
            for reading, voxel in [(2, 9), (1, 1)] if i == 0 else [(1, 1)]:
                _store_annotation(connection, tmp_path, participant_id, role, image, reading, voxel)
        yield connection


def _release() -> dict:
    now = pd.Timestamp("2026-01-01")
    return {
        "release": "first", "study": "synthetic", "registration": 1, "fingerprint": "-", "has_imaging": True,
        "registered_at": now,
    }  # fmt: skip


def _store_contrast(connection, home, participant_id: str, contrast: str) -> str:
    path = f"{participant_id}/{contrast}.nii.gz"
    voxels = np.full((4, 5, 6), CONTRASTS.index(contrast), np.int16)
    sha256 = write_volume(home / path, voxels, AFFINE, {})
    row = {
        "study": "synthetic", "participant_id": participant_id, "visit": "30", "contrast": contrast, "release": "first",
        "shape": [4, 5, 6], "spacing": [4.0, 4.0, 6.0], "orientation": "RAS", "n_instances": 6, "image_sha256": sha256,
        "nifti_path": path,
    }  # fmt: skip
    insert(connection, "raw.dixon_series", pd.DataFrame([row]))
    return sha256


def _store_annotation(connection, home, participant_id: str, role: str, image: str, reading: int, voxel: int) -> None:
    path = f"{participant_id}/reading-{reading}.nii.gz"
    mask = np.zeros((4, 5, 6), np.uint8)
    mask.flat[voxel] = 1
    row = {
        "study": "synthetic", "participant_id": participant_id, "visit": "30", "reader": "r1", "reading": reading,
        "release": "first", "role": role, "annotation_path": path, "image_sha256": image, "has_all_labels": False,
        "annotation_sha256": write_volume(home / path, mask, AFFINE, {}), "fingerprint": "-",
    }  # fmt: skip
    insert(connection, "raw.annotation", pd.DataFrame([row]))


def test_training_cases_are_first_readings_on_the_images_in_force(warehouse, tmp_path):
    cases = list(load_cases(warehouse, tmp_path, "synthetic"))
    assert [case.name for case in cases] == [f"synthetic_{participant_id}_30" for participant_id in IDS]
    for case in cases:
        assert [int(case.dixon.volumes[contrast].max()) for contrast in CONTRASTS] == [0, 1, 2, 3]
        assert np.flatnonzero(case.labels).tolist() == [1]


def test_too_few_cases_are_refused_with_what_to_do(warehouse, tmp_path):
    warehouse.execute("DELETE FROM raw.annotation WHERE participant_id = '200003'")
    with pytest.raises(dg.Failure, match=r"4 training cases.*Annotate more"):
        next(load_cases(warehouse, tmp_path, "synthetic"))


@pytest.mark.parametrize("version", ["../evil", "", "a b", "x" * 65])
def test_model_version_that_is_no_name_is_refused(version):
    with pytest.raises(dg.Failure, match="name another"):
        Training(model_version=version).workspace(load_settings())
