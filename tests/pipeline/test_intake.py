"""Intake as an asset: every fault accounted for, unchanged deliveries left alone, nothing identifying kept."""

import json

import dagster as dg
import duckdb
import pandas as pd
import pytest

from dagster_project.defs.ingest import find_damaged_derivatives, intake
from dagster_project.defs.releases import releases
from dagster_project.defs.sql_assets import sql_tables
from dagster_project.settings import load_settings
from dagster_project.warehouse import Warehouse
from tests.models.imaging.faults import write_every_fault
from tests.models.imaging.imaging_cases import alter, draw_coded, write_coded, write_stations
from tests.models.imaging.test_privacy import PLANTED, plant


class Intake:
    """The intake asset on a MYONORM_HOME of its own."""

    def __init__(self, home):
        self.home = home
        (home / "dagster").mkdir()
        self.instance = dg.DagsterInstance.local_temp(str(home / "dagster"))

    def folder(self, release: str):
        """Folder of a release."""
        folder = self.home / "releases" / release
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def run(self, release: str) -> list[str]:
        """Take a release in; returns what the run logged."""
        self.instance.add_dynamic_partitions(releases.name, [release])
        result = dg.materialize(
            [intake], partition_key=release, instance=self.instance, resources={"warehouse": Warehouse()}
        )
        return [entry.user_message for entry in self.instance.all_logs(result.run_id)]

    def query(self, sql: str) -> list[tuple]:
        """Rows of the warehouse."""
        with duckdb.connect(str(self.home / "warehouse.duckdb"), read_only=True) as connection:
            return connection.execute(sql).fetchall()


@pytest.fixture
def door(tmp_path, monkeypatch):
    """An empty installation; settings are read anew before and after."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("MYONORM_HOME", str(home))
    load_settings.cache_clear()
    yield Intake(home)
    load_settings.cache_clear()


def test_every_fault_has_its_code_and_the_sound_survive(door, tmp_path):
    expected = write_every_fault(door.folder("faults") / "imaging", tmp_path)
    door.run("faults")
    outcomes = door.query("SELECT participant_id, outcome FROM raw.imaging_delivery")
    assert dict(outcomes) == {participant: code or "stored" for participant, code in expected.items()}
    survivors = {participant for participant, code in expected.items() if code is None}
    assert {row[0] for row in door.query("SELECT DISTINCT participant_id FROM raw.dixon_series")} == survivors
    refused = door.query("SELECT participant_id, code FROM raw.intake_issue WHERE is_refusal")
    assert dict(refused) == {participant: code for participant, code in expected.items() if code}
    stored = {path.parent.parent.name for path in (door.home / "derivatives").rglob("*.nii.gz")}
    assert stored == survivors
    assert not list((door.home / "derivatives").rglob("*.tmp"))


def test_unchanged_deliveries_are_not_opened_again_and_new_ones_are(door):
    imaging = door.folder("r") / "imaging"
    write_coded(imaging / "100001.zip", "100001")
    (imaging / "100002.zip").write_bytes(b"no archive")
    assert any("2 of 2 deliveries" in line for line in door.run("r"))
    before = (door.query("FROM raw.dixon_series"), door.query("FROM raw.intake_issue"))
    assert not any("deliveries" in line for line in door.run("r"))
    assert (door.query("FROM raw.dixon_series"), door.query("FROM raw.intake_issue")) == before
    write_coded(imaging / "100002.zip", "100002")
    assert any("1 of 1 deliveries" in line for line in door.run("r"))
    assert door.query("SELECT count(*) FROM raw.dixon_series") == [(8,)]
    assert door.query("FROM raw.intake_issue") == []
    (imaging / "100001.zip").unlink()
    door.run("r")
    assert door.query("SELECT DISTINCT participant_id FROM raw.dixon_series") == [("100002",)]


def test_lost_volumes_are_taken_in_again(door):
    write_coded(door.folder("r") / "imaging" / "100001.zip", "100001")
    door.run("r")
    (volume,) = door.home.glob("derivatives/*/100001/30/fat.nii.gz")
    volume.unlink()
    door.run("r")
    assert volume.is_file()


def test_layouts_visits_and_runs_side_by_side(door, tmp_path):
    imaging = door.folder("r") / "imaging"
    write_coded(imaging / "100001_30.zip", "100001")
    write_coded(imaging / "100001_60.zip", "100001", visit="60")
    write_coded(imaging / "100002_run1.zip", "100002")
    write_coded(imaging / "100002_run2.zip", "100002")
    write_stations(imaging, draw_coded(), [(0, 5), (3, 8)], tmp_path)
    (imaging / "notes.txt").write_text("not an image")
    door.run("r")
    rows = door.query("SELECT participant_id, visit, layout, outcome FROM raw.imaging_delivery ORDER BY ALL")
    assert rows == [
        ("100001", "30", "composed", "stored"),
        ("100001", "60", "composed", "stored"),
        ("100002", "30", "composed", "stored"),
        ("100002", None, "composed", "duplicate_run"),
        ("123456", "30", "stations", "stored"),
    ]
    codes = door.query("SELECT code, is_refusal FROM raw.intake_issue ORDER BY ALL")
    assert codes == [("duplicate_run", False), ("stray_file", False)]


def test_expected_against_delivered_and_protocol(door):
    folder = door.folder("r")
    for participant in ("100001", "100002", "100003"):
        write_coded(folder / "imaging" / f"{participant}.zip", participant)
    rows = ["100001,30,F,40,165,60,x", "100002,30,M,40,180,80,x", "100009,30,M,40,180,80,x"]
    header = "participant_id,visit,sex,age_years,height_cm,weight_kg,centre"
    (folder / "participants.csv").write_text("\n".join([header, *rows]))
    door.run("r")
    definitions = sql_tables()
    wanted = dg.AssetSelection.assets("ref/protocol", "raw/completeness", "raw/protocol_deviation")
    dg.materialize(definitions.assets, selection=wanted, instance=door.instance, resources={"warehouse": Warehouse()})
    found = door.query("SELECT participant_id, code FROM raw.completeness ORDER BY ALL")
    assert found == [
        ("100001", "same_images"),
        ("100002", "same_images"),
        ("100003", "no_participant_row"),
        ("100003", "same_images"),
        ("100009", "no_images"),
    ]
    deviations = door.query("SELECT DISTINCT parameter, value, expected FROM raw.protocol_deviation")
    assert deviations == [("spacing_y_mm", 1.5, 1.4)]


def test_participants_as_parquet_with_other_column_names(door):
    folder = door.folder("r")
    (folder / "release.toml").write_text('study = "Other"\n[columns]\nparticipant_id = "pid"\nage_years = "alter"\n')
    table = {"pid": ["A1", "A2"], "visit": ["1", "1"], "sex": ["w", "m"], "alter": [40, 50]}
    pd.DataFrame(table | {"height_cm": [1.65, 1.80], "weight_kg": [60, 80], "centre": ["x", "x"]}).to_parquet(
        folder / "participants.parquet"
    )
    door.run("r")
    rows = door.query("SELECT study, participant_id, sex, age_years, height_cm FROM raw.participant ORDER BY ALL")
    assert rows == [("Other", "A1", "F", 40.0, 165.0), ("Other", "A2", "M", 50.0, 180.0)]
    assert door.query("SELECT code, is_refusal FROM raw.intake_issue") == [("unit_converted", False)]


def test_pseudonyms_are_hashed_where_switched_on(door, monkeypatch):
    monkeypatch.setenv("MYONORM_HASH_PSEUDONYMS", "1")
    load_settings.cache_clear()
    folder = door.folder("r")
    write_coded(folder / "imaging" / "100001.zip", "100001")
    (folder / "imaging" / "100002.zip").write_bytes(b"no archive")
    header = "participant_id,visit,sex,age_years,height_cm,weight_kg,centre"
    (folder / "participants.csv").write_text(f"{header}\n100001,30,F,40,165,60,x\n100002,30,F,40,7777,60,x\n")
    door.run("r")
    ids = {row[0] for row in door.query("SELECT participant_id FROM raw.participant")}
    assert len(ids) == 2 and all(len(participant) == 16 for participant in ids)
    assert {row[0] for row in door.query("SELECT participant_id FROM raw.dixon_series")} < ids
    for file in [*door.home.rglob("*.duckdb"), *(door.home / "derivatives").rglob("*")]:
        assert "10000" not in file.name
        assert not file.is_file() or b"10000" not in file.read_bytes(), file


@pytest.mark.filterwarnings("ignore:The value length")
def test_nothing_planted_in_a_header_is_kept_anywhere(door):
    """Neither in tables, volumes, sidecars and logs nor in Dagster's event database, for good and for bad deliveries."""
    imaging = door.folder("r") / "imaging"
    alter(write_coded(imaging / "700001.zip", "700001"), lambda d, contrast, index: plant(d))
    broken = alter(
        write_coded(imaging / "700002.zip", "700002"), lambda d, contrast, index: plant(d) if index else None
    )
    broken.write_bytes(broken.read_bytes()[:-2000])
    door.run("r")
    assert door.query("SELECT count(*) FROM raw.dixon_series") == [(4,)]
    canaries = [canary.encode() for canary in PLANTED if canary != "123456"]
    for file in door.home.rglob("*"):
        if file.is_file() and "releases" not in file.parts:
            content = file.read_bytes().lower()
            assert not any(canary in content for canary in canaries), file


def test_damaged_derivatives_are_found(door):
    write_coded(door.folder("r") / "imaging" / "100001.zip", "100001")
    door.run("r")
    assert find_damaged_derivatives(Warehouse()).passed
    (volume,) = door.home.glob("derivatives/*/100001/30/water.nii.gz")
    content = bytearray(volume.read_bytes())
    content[len(content) // 2] ^= 1
    volume.write_bytes(content)
    result = find_damaged_derivatives(Warehouse())
    assert not result.passed and result.metadata["damaged"].value == 1
    assert json.loads(volume.with_name("water.json").read_text())["study"] == "cohort"


def test_empty_imaging_folder_is_said(door):
    (door.folder("r") / "imaging").mkdir()
    door.run("r")
    assert door.query("SELECT path, code FROM raw.intake_issue") == [("imaging", "empty_delivery")]


def test_a_withdrawn_persons_later_delivery_stays_unread(door):
    folder = door.folder("r")
    write_coded(folder / "imaging" / "100001.zip", "100001")
    (folder / "withdrawals.csv").write_text("participant_id\n100001\n")
    door.run("r")
    assert door.query("SELECT outcome, participant_id FROM raw.imaging_delivery") == [("withdrawn", None)]
    assert not (door.home / "derivatives").exists()
    ((path,),) = door.query("SELECT path FROM raw.intake_issue")
    assert "100001" not in path and path.startswith("imaging/h-")
