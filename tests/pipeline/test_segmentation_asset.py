"""The asset `imaging.segmentation`: what Dagster shows of a run, and what a run that was killed leaves to the next."""

import base64
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import dagster as dg
import duckdb
import numpy as np
import pytest

from dagster_project.case_work import ImageCase, segment
from dagster_project.defs.releases import releases
from dagster_project.defs.segmentation import KEY, segmentation
from dagster_project.engine import LocalEngine
from dagster_project.settings import load_settings
from dagster_project.warehouse import Warehouse, declare_schema
from models.imaging.dixon import CONTRASTS
from models.imaging.nifti import read_image_sha256, read_volume
from tests.pipeline.stored_phantoms import MODEL, mask_file, register_images, store

ROOT = Path(__file__).parents[2]
RELEASE = "r1"
LEDGER = (
    "SELECT participant_id, status, code, attempts FROM imaging.segmentation WHERE participant_id <> '0' ORDER BY ALL"
)
EARLIER = f"""
INSERT INTO imaging.segmentation BY NAME
SELECT 'synthetic' AS study, '0' AS participant_id, '30' AS visit, '{MODEL}' AS model_version, 'done' AS status, 1 AS attempts,
    'h' AS image_sha256, 'bfloat16' AS precision, false AS is_low_memory
"""


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """An installation without data; settings are read anew before and after."""
    home = tmp_path / "home"
    (home / "dagster").mkdir(parents=True)
    for name, value in {"HOME": str(home), "MODEL": MODEL, "DEVICE": "cpu"}.items():
        monkeypatch.setenv(f"MYONORM_{name}", value)
    load_settings.cache_clear()
    yield home
    load_settings.cache_clear()


def fill(home: Path, names: list[str]) -> dict[str, ImageCase]:
    """Store phantoms and enter them as intake does; an earlier mask fixes the precision, so that no probe is made."""
    cases = {name: store(home, name, 120 + i) for i, name in enumerate(names)}
    hashes = {
        name: {c: read_image_sha256(home / case.folder / f"{c}.nii.gz") for c in CONTRASTS}
        for name, case in cases.items()
    }
    with duckdb.connect(str(home / "warehouse.duckdb")) as connection:
        declare_schema(connection)
        register_images(connection, RELEASE, hashes)
        connection.execute(EARLIER)
    return cases


def materialize(home: Path) -> tuple[dg.ExecuteInProcessResult, dg.DagsterInstance]:
    """Run the asset on the release."""
    instance = dg.DagsterInstance.local_temp(str(home / "dagster"))
    instance.add_dynamic_partitions(releases.name, [RELEASE])
    resources = {"warehouse": Warehouse()}
    return dg.materialize([segmentation], partition_key=RELEASE, instance=instance, resources=resources), instance


def read_ledger(home: Path) -> list[tuple]:
    """Participant, status, code, attempts, from a copy of the database and its log."""
    copy = Path(tempfile.mkdtemp(dir=home))
    for path in home.glob("warehouse.duckdb*"):
        shutil.copy(path, copy)
    with duckdb.connect(str(copy / "warehouse.duckdb")) as connection:
        return connection.execute(LEDGER).fetchall()


def test_run_shows_progress_outcomes_and_checks_and_the_next_does_what_is_missing(home):
    cases = fill(home, ["1", "2", "cut"])
    cut = home / cases["cut"].folder / "fat.nii.gz"
    cut.write_bytes(cut.read_bytes()[:-1000])
    result, instance = materialize(home)
    done = [("1", "done", None, 1), ("2", "done", None, 1)]
    assert read_ledger(home) == [*done, ("cut", "failed", "corrupt_volume", 1)]

    observations = instance.fetch_observations(dg.AssetRecordsFilter(KEY, asset_partitions=[RELEASE]), limit=10)
    progress = sorted(record.asset_observation.description for record in observations.records)
    batches = [re.fullmatch(rf"{RELEASE}: (\d) of 3 cases; of the last (\d) (\d) failed", line) for line in progress]
    counts = np.array([batch.groups() for batch in batches], int)
    assert counts[-1, 0] == 3 and (counts[:, 0] == counts[:, 1].cumsum()).all() and counts[:, 2].sum() == 1

    (materialization,) = result.asset_materializations_for_node("imaging__segmentation")
    metadata = materialization.metadata
    assert (metadata["segmented"].value, metadata["failed"].value) == (2, 1)
    assert re.search(r"\| done \| 2 \| .*\n\| corrupt_volume \| 1 \| ", metadata["outcomes"].value)
    picture = re.fullmatch(r"!\[.*\]\(data:image/png;base64,(.*)\)", metadata["seconds per case"].value)
    assert base64.b64decode(picture[1]).startswith(b"\x89PNG")

    verdicts = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert verdicts["complete"].passed and not verdicts["failure_rate"].passed
    assert verdicts["failure_rate"].severity == dg.AssetCheckSeverity.WARN

    written = mask_file(cases["1"]).stat().st_mtime_ns
    materialize(home)
    assert read_ledger(home) == [*done, ("cut", "failed", "corrupt_volume", 2)]
    assert mask_file(cases["1"]).stat().st_mtime_ns == written


def test_killed_driver_loses_at_most_the_cases_in_flight_and_no_voxel(home):
    """SIGKILL of the driver in mid-run; the next run does just what is missing."""
    cases = fill(home, [f"{i}" for i in range(1, 7)])
    code = "from tests.pipeline.test_segmentation_asset import *\nif __name__ == '__main__': materialize(load_settings().home)"
    script = home / "driver.py"
    script.write_text(code)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    driver = subprocess.Popen([sys.executable, script], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    while sum(mask_file(case).is_file() for case in cases.values()) < 2 and driver.poll() is None:
        time.sleep(0.02)
    driver.kill()
    driver.wait()
    recorded = {participant for participant, status, *_ in read_ledger(home) if status == "done"}
    present = {name for name, case in cases.items() if mask_file(case).is_file()}
    assert recorded <= present and len(present) < len(cases), "killed in mid-run"
    assert len(present - recorded) <= load_settings().local_workers + 1, "at most what was in flight"
    written = {name: mask_file(cases[name]).stat().st_mtime_ns for name in recorded}

    materialize(home)
    assert read_ledger(home) == [(name, "done", None, 1) for name in sorted(cases)]
    assert all(mask_file(cases[name]).stat().st_mtime_ns == before for name, before in written.items())
    resumed = {name: read_volume(mask_file(case))[0].copy() for name, case in cases.items()}
    assert all(outcome.code is None for outcome in LocalEngine(2).run(segment, list(cases.values()), 300))
    assert all(np.array_equal(read_volume(mask_file(case))[0], resumed[name]) for name, case in cases.items())
