"""SIGKILL of the update in mid-segmentation: the next one does just what is missing, and the masks are those of an uninterrupted run."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from dagster_project.settings import Settings
from models.imaging.demo import draw_demo_1, write_release
from models.imaging.nifti import read_volume
from tests.pipeline.installation import ROOT, Installation, last_line

pytestmark = pytest.mark.faults
N_CASES = 8
LEDGER = "SELECT participant_id, status, attempts, mask_sha256 FROM imaging.segmentation ORDER BY ALL"


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> Path:
    """A release of phantoms."""
    folder = tmp_path_factory.mktemp("releases") / "r1"
    write_release(folder, draw_demo_1()[:N_CASES])
    return folder


def install(home: Path, release: Path) -> Installation:
    """An installation that has the release and has not seen it."""
    installation = Installation(home)
    shutil.copytree(release, installation.releases / release.name)
    return installation


def list_masks(home: Path) -> dict[str, Path]:
    """Whole masks by participant."""
    sidecars = home.glob("derivatives/*/*/*/phantom-v1_dseg.json")
    return {path.parts[-3]: path.with_name("phantom-v1_dseg.nii.gz") for path in sorted(sidecars)}


def kill_in_mid_segmentation(installation: Installation) -> None:
    """Start the update, and kill it as soon as two masks are there."""
    environment = {"MYONORM_HOME": str(installation.home), "MYONORM_MODEL": installation.model}
    command = [sys.executable, "-m", "dagster_project.update", "r1"]
    driver = subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, stderr=subprocess.DEVNULL)
    while len(list_masks(installation.home)) < 2 and driver.poll() is None:
        time.sleep(0.02)
    assert driver.poll() is None, "the update ended before it could be killed"
    driver.kill()
    driver.wait()


def read_ledger(installation: Installation, scratch: Path) -> list[tuple]:
    """Rows of the ledger, from a copy of the database and its log."""
    scratch.mkdir()
    for path in installation.home.glob("warehouse.duckdb*"):
        shutil.copy(path, scratch)
    with duckdb.connect(str(scratch / "warehouse.duckdb")) as connection:
        return connection.execute(LEDGER).fetchall()


def test_next_update_does_just_what_is_missing_and_no_voxel_differs(tmp_path, release):
    undisturbed, killed = install(tmp_path / "undisturbed", release), install(tmp_path / "killed", release)
    last_line(undisturbed.update("r1"))
    kill_in_mid_segmentation(killed)
    recorded = [row[0] for row in read_ledger(killed, tmp_path / "copy") if row[1] == "done"]
    at_kill = list_masks(killed.home)
    written = {participant: at_kill[participant].stat().st_mtime_ns for participant in recorded}
    assert len(at_kill) < N_CASES and len(set(at_kill) - set(recorded)) <= Settings().local_workers + 1, (
        "at most the cases in flight are lost"
    )

    last_line(killed.update("r1"))
    masks, expected = list_masks(killed.home), list_masks(undisturbed.home)
    assert masks.keys() == expected.keys() and len(masks) == N_CASES
    assert all(masks[participant].stat().st_mtime_ns == written[participant] for participant in recorded)
    assert all((read_volume(masks[who])[0] == read_volume(expected[who])[0]).all() for who in masks)
    assert killed.query(LEDGER) == undisturbed.query(LEDGER)
    assert [row[1:3] for row in killed.query(LEDGER)] == [("done", 1)] * N_CASES
