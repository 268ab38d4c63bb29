"""The quick faults: locks, lost commits, flipped bits, readers while others publish, a clock set back."""

import multiprocessing
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from dagster_project import settings as settings_module
from dagster_project.publication import CHECKSUMS, KEPT_SNAPSHOTS, choose_stamp, find_damaged_files, publish
from dagster_project.settings import Settings
from dagster_project.warehouse import DamagedWarehouse, Warehouse, read_everything, transaction
from tests.pipeline.installation import ROOT

INSERT = "INSERT INTO raw.release VALUES (?, 's', ?, 'f', true, NULL, '2026-01-01')"
PAUSE_S = 0.2
KILLED_IN_MID_RUN = f"""
import os, signal
from dagster_project.warehouse import Warehouse, transaction
with Warehouse().connect() as connection:
    for i in range(20):
        with transaction(connection):
            connection.execute({INSERT!r}, [f"r{{i}}", i])
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def settings(tmp_path, monkeypatch) -> Iterator[Settings]:
    monkeypatch.setenv("MYONORM_HOME", str(tmp_path / "möre data"))
    settings_module.load_settings.cache_clear()
    yield settings_module.load_settings()
    settings_module.load_settings.cache_clear()


def count_releases(connection: duckdb.DuckDBPyConnection) -> int:
    return connection.execute("SELECT count(*) FROM raw.release").fetchone()[0]


def test_exception_inside_a_connection_releases_the_lock_and_rolls_back(settings):
    with pytest.raises(ZeroDivisionError), Warehouse().connect() as connection, transaction(connection):
        connection.execute(INSERT, ["r", 1])
        raise ZeroDivisionError
    with Warehouse().connect() as connection:
        assert count_releases(connection) == 0


def test_killed_writer_loses_nothing_and_a_log_cut_afterwards_is_noticed(settings):
    process = subprocess.run([sys.executable, "-W", "ignore", "-c", KILLED_IN_MID_RUN], cwd=ROOT, check=False)
    assert process.returncode == -9
    log = settings.warehouse_file.with_suffix(".duckdb.wal")
    database, whole = settings.warehouse_file.read_bytes(), log.read_bytes()
    with Warehouse().connect() as connection:
        assert count_releases(connection) == 20
    settings.warehouse_file.write_bytes(database)
    log.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DamagedWarehouse, match="make rebuild"), Warehouse().connect():
        pass


@pytest.mark.parametrize("moment", ["before the log", "after the log"])
def test_writer_killed_while_it_declares_the_schema_is_gone_on_with(settings, moment):
    """DuckDB refuses to replay the log of a declaration."""
    place = "declare_schema" if moment == "before the log" else "_note_commit"
    code = f"""
import os, signal, duckdb
from dagster_project import warehouse
if {place!r} == "declare_schema":
    warehouse.declare_schema = lambda connection: os.kill(os.getpid(), signal.SIGKILL)
else:
    note = warehouse._note_commit
    warehouse._note_commit = lambda *a: (note(*a), os.kill(os.getpid(), signal.SIGKILL))
with warehouse.Warehouse().connect():
    pass
"""
    process = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, check=False)
    assert process.returncode == -9
    with Warehouse().connect() as connection:
        assert count_releases(connection) == 0
    assert not settings.warehouse_file.with_suffix(".declaring").exists()


def test_flipped_bits_are_noticed_where_they_hold_rows(settings):
    with Warehouse().connect() as connection:
        connection.execute(
            "INSERT INTO raw.intake_issue BY NAME SELECT 'r' AS release, md5(i::VARCHAR) AS path, 'c' AS code, 'm' AS message,"
            " true AS is_refusal FROM range(200000) AS t(i)"
        )
    content = bytearray(settings.warehouse_file.read_bytes())
    content[len(content) // 2] ^= 1
    settings.warehouse_file.write_bytes(content)
    with pytest.raises(DamagedWarehouse, match="make rebuild"), Warehouse().connect() as connection:
        read_everything(connection)


def test_file_that_is_no_database_is_noticed(settings):
    settings.home.mkdir()
    settings.warehouse_file.write_bytes(b"\0" * 8192)
    with pytest.raises(DamagedWarehouse), Warehouse().connect():
        pass


def read_on(snapshots: Path, stop, failures, answers) -> None:
    """Open the current snapshot again and again: both files of it are of one publication."""
    while not stop.is_set():
        try:
            folder = (snapshots / "current").resolve()
            logged = []
            for name in ("normative.duckdb", "research.duckdb"):
                with duckdb.connect(str(folder / name), read_only=True) as connection:
                    logged += connection.execute("SELECT max(snapshot), count(*) FROM meta.release_log").fetchall()
            if logged[0] != logged[1] or logged[0][0] != folder.name:
                failures.put(f"mixed: {logged} in {folder.name}")
            answers.value += 1
            time.sleep(PAUSE_S)
        except (duckdb.Error, OSError) as error:
            failures.put(f"{type(error).__name__}: {error}")


def publish_often(settings: Settings, n_publications: int, n_readers: int) -> tuple[list[str], int]:
    """Publications under the eyes of readers; what readers complained of, and how many answers they had."""
    context = multiprocessing.get_context("fork")
    stop, failures, counts = context.Event(), context.Queue(), [context.Value("l", 0) for _ in range(n_readers)]
    readers = [
        context.Process(target=read_on, args=(settings.snapshots, stop, failures, count), daemon=True)
        for count in counts
    ]
    with Warehouse().connect() as connection:
        for number in range(n_publications + 1):
            stamp = choose_stamp(datetime.now(UTC), settings.snapshots)
            connection.execute(
                "INSERT INTO meta.release_log BY NAME SELECT $stamp AS snapshot, 'r' AS release, 's' AS study, 'f' AS fingerprint,"
                " 'm' AS model_version, 'c' AS code_version, now()::TIMESTAMP AS published_at",
                {"stamp": stamp},
            )
            publish(connection, settings, stamp)
            if number == 0:
                for reader in readers:
                    reader.start()
    stop.set()
    for reader in readers:
        reader.join(30)
    return [failures.get() for _ in range(failures.qsize())], min((count.value for count in counts), default=0)


def test_readers_never_see_a_failed_or_mixed_answer(settings):
    complaints, fewest = publish_often(settings, n_publications=2, n_readers=2)
    assert complaints == [] and fewest > 2
    assert find_damaged_files((settings.snapshots / "current").resolve()) == []


@pytest.mark.faults
def test_twenty_readers_during_twenty_publications(settings):
    complaints, fewest = publish_often(settings, n_publications=20, n_readers=20)
    assert complaints == [] and fewest > 20
    assert len(list(settings.snapshots.glob("2*"))) == KEPT_SNAPSHOTS


def test_damaged_and_lost_files_of_a_snapshot_are_named(settings):
    publish_often(settings, n_publications=0, n_readers=0)
    folder = (settings.snapshots / "current").resolve()
    (folder / "methods.md").unlink()
    file = folder / "normative.duckdb"
    file.write_bytes(file.read_bytes()[:-1])
    assert find_damaged_files(folder) == ["methods.md", "normative.duckdb"]
    assert "normative.duckdb" in (folder / CHECKSUMS).read_text()


def test_stamps_rise_although_the_clock_was_set_back(tmp_path):
    now = datetime(2026, 3, 1, tzinfo=UTC)
    assert choose_stamp(now, tmp_path) == "20260301T000000000000Z"
    (tmp_path / "20270101T000000000009Z").mkdir()
    assert choose_stamp(now, tmp_path) == "20270101T000000000010Z"
