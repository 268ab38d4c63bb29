"""A whole fat-water swap is undone where the setting says so: files, manifest and queue tell of it; never otherwise."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from dagster_project.case_work import ImageCase, inspect
from dagster_project.defs import quality
from dagster_project.engine import Outcome
from dagster_project.warehouse import insert
from models.imaging.dixon import CONTRASTS
from models.imaging.nifti import (
    combined_sha256,
    image_sha256,
    read_image_sha256,
    read_volume,
    write_contrasts,
    write_volume,
)
from models.imaging.phantom import Person, render

KEY = ("synthetic", "100001", "30")


@pytest.fixture
def swapped(tmp_path, connection):
    """A stored case whose water and fat are exchanged, its mask, its rows; returns its case and the true volumes."""
    phantom = render(Person("100001", "F", 50, 165.0, 70.0), 4)
    volumes = phantom.dixon.volumes
    dixon = replace(phantom.dixon, volumes={**volumes, "water": volumes["fat"], "fat": volumes["water"]})
    case = ImageCase(tmp_path, *KEY, "", 0, "v1", "cpu")
    folder = tmp_path / case.folder
    folder.mkdir(parents=True)
    hashes = write_contrasts(folder, dixon, {contrast: {"contrast": contrast} for contrast in CONTRASTS})
    write_volume(folder / "v1_dseg.nii.gz", phantom.labels, dixon.affine, {})
    image = combined_sha256(hashes)
    rows = {"contrast": list(CONTRASTS), "image_sha256": [hashes[contrast] for contrast in CONTRASTS]}
    common = dict(zip(("study", "participant_id", "visit"), KEY, strict=True)) | {"release": "r"}
    fixed = {
        "shape": [[1, 1, 1]] * 4,
        "spacing": [[1.0, 1, 1]] * 4,
        "orientation": "RAS",
        "n_instances": 4,
        "nifti_path": "p",
    }
    connection.execute("INSERT INTO raw.release VALUES ('r', 'synthetic', 1, 'f', true, NULL, '2026-01-01')")
    insert(connection, "raw.dixon_series", pd.DataFrame(rows).assign(**common, **fixed))
    ledger = {
        **common,
        "model_version": "v1",
        "status": "done",
        "attempts": 1,
        "image_sha256": image,
        "is_low_memory": False,
    }
    del ledger["release"]
    insert(connection, "imaging.segmentation", pd.DataFrame([ledger]))
    return replace(case, image_sha256=image), phantom.dixon


def judge(connection, case, corrects_swaps: bool) -> bool:
    described = replace(quality.describe_case(connection, case), corrects_swaps=corrects_swaps)
    return quality.record(connection, Outcome(described, inspect(described)), "m", "r")


def queue(connection) -> list[tuple]:
    return connection.execute("SELECT participant_id, attempts FROM segmentation_worklist('v1')").fetchall()


def test_without_the_setting_the_swap_is_judged_and_stays(swapped, connection):
    case, truth = swapped
    assert not judge(connection, case, corrects_swaps=False)
    stored, _ = read_volume(case.home / case.folder / "water.nii.gz")
    assert image_sha256(stored, truth.affine) == image_sha256(truth.volumes["fat"], truth.affine)
    verdict = "SELECT verdict FROM imaging.quality WHERE check_name = 'fat_water_swap_pct'"
    assert connection.execute(verdict).fetchall() == [("fail",)] and queue(connection) == []


def test_with_the_setting_contrasts_are_exchanged_recorded_and_queued_again(swapped, connection):
    case, truth = swapped
    assert judge(connection, case, corrects_swaps=True)
    folder = case.home / case.folder
    for contrast in ("water", "fat"):
        stored, affine = read_volume(folder / f"{contrast}.nii.gz")
        assert image_sha256(stored, affine) == image_sha256(truth.volumes[contrast], truth.affine)
        facts = json.loads((folder / f"{contrast}.json").read_bytes())
        assert facts["swap_corrected"] is True and facts["contrast"] == contrast
    manifest = connection.execute("SELECT contrast, image_sha256, is_swap_corrected FROM raw.dixon_series").fetchall()
    assert {row[0]: row[1] for row in manifest} == {c: read_image_sha256(folder / f"{c}.nii.gz") for c in CONTRASTS}
    assert {contrast for contrast, _, is_corrected in manifest if is_corrected} == {"water", "fat"}
    assert queue(connection) == [("100001", 0)]
