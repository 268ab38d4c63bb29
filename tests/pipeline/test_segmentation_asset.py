"""The asset `imaging.segmentation` as Dagster shows it: progress, what became of the cases, checks; a second run does only what is missing."""

import base64
import re
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from dagster_project.defs.releases import releases
from dagster_project.defs.segmentation import KEY, segmentation
from dagster_project.settings import load_settings
from dagster_project.warehouse import Warehouse, declare_schema
from models.imaging.dixon import CONTRASTS
from models.imaging.nifti import read_image_sha256
from tests.pipeline.stored_phantoms import MODEL, register_images, store

RELEASE = "r1"
LEDGER = (
    "SELECT participant_id, status, code, attempts FROM imaging.segmentation WHERE participant_id <> '0' ORDER BY ALL"
)
EARLIER = f"""
INSERT INTO imaging.segmentation BY NAME
SELECT 'synthetic' AS study, '0' AS participant_id, '30' AS visit, '{MODEL}' AS model_version, 'done' AS status, 1 AS attempts,
    'h' AS image_sha256, 'bfloat16' AS precision, false AS is_low_memory
"""  # an earlier mask, whose precision is kept: no probe


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """Two stored phantoms, and one of which a volume was cut afterwards."""
    home = tmp_path / "home"
    for name, value in {"HOME": str(home), "MODEL": MODEL, "DEVICE": "cpu"}.items():
        monkeypatch.setenv(f"MYONORM_{name}", value)
    load_settings.cache_clear()
    cases = {name: store(home, name, 120 + i) for i, name in enumerate(("1", "2", "cut"))}
    hashes = {
        name: {c: read_image_sha256(home / case.folder / f"{c}.nii.gz") for c in CONTRASTS}
        for name, case in cases.items()
    }
    cut = home / cases["cut"].folder / "fat.nii.gz"
    cut.write_bytes(cut.read_bytes()[:-1000])
    with duckdb.connect(str(home / "warehouse.duckdb")) as connection:
        declare_schema(connection)
        register_images(connection, RELEASE, hashes)
        connection.execute(EARLIER)
    yield home
    load_settings.cache_clear()


def materialize(home: Path, instance: dg.DagsterInstance) -> tuple[dg.ExecuteInProcessResult, list[tuple]]:
    """Run the asset; its result, and the ledger after it."""
    resources = {"warehouse": Warehouse()}
    result = dg.materialize([segmentation], partition_key=RELEASE, instance=instance, resources=resources)
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        return result, connection.execute(LEDGER).fetchall()


def test_run_shows_progress_outcomes_and_checks_and_the_next_does_what_is_missing(home, tmp_path):
    (tmp_path / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "dagster")) as instance:
        instance.add_dynamic_partitions(releases.name, [RELEASE])
        result, ledger = materialize(home, instance)
        done = [("1", "done", None, 1), ("2", "done", None, 1)]
        assert ledger == [*done, ("cut", "failed", "corrupt_volume", 1)]

        observations = instance.fetch_observations(dg.AssetRecordsFilter(KEY, asset_partitions=[RELEASE]), limit=10)
        progress = sorted(record.asset_observation.description for record in observations.records)
        assert [line.partition(",")[0] for line in progress] == [f"{RELEASE}: {i} of 3 cases" for i in (1, 2, 3)]

        (materialization,) = result.asset_materializations_for_node("imaging__segmentation")
        metadata = materialization.metadata
        assert (metadata["segmented"].value, metadata["failed"].value) == (2, 1)
        assert re.search(r"\| done \| 2 \| .*\n\| corrupt_volume \| 1 \| ", metadata["outcomes"].value)
        picture = re.fullmatch(r"!\[.*\]\(data:image/png;base64,(.*)\)", metadata["seconds per case"].value)
        assert base64.b64decode(picture[1]).startswith(b"\x89PNG")

        verdicts = {check.check_name: check for check in result.get_asset_check_evaluations()}
        assert verdicts["complete"].passed and not verdicts["failure_rate"].passed
        assert verdicts["failure_rate"].severity == dg.AssetCheckSeverity.WARN

        mask = home / "derivatives" / "synthetic" / "1" / "30" / f"{MODEL}_dseg.nii.gz"
        written = mask.stat().st_mtime_ns
        _, ledger = materialize(home, instance)
        assert ledger == [*done, ("cut", "failed", "corrupt_volume", 2)]
        assert mask.stat().st_mtime_ns == written
