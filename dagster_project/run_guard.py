"""One run at a time over all processes of an installation, and tidying up after one that was killed.

What belongs here: the lock that a run holds from its first step to its last, and what a killed run leaves behind. The lock of the
warehouse file is `warehouse.py`'s: people's own commands hold it for moments, a run many times.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
from filelock import FileLock, Timeout

from dagster_project.settings import Settings

# What the project's writers call a file or folder until it is whole.
UNFINISHED = re.compile(r"\..+\.(tmp|building|rewriting)|\.current\.\d+|.+\.duckdb\.copy|.+\.(rewriting|copy)(\.wal)?")
LEFT_ALONE = ("releases", "dagster")
DEAD_AFTER_S = 300


def lock_path(settings: Settings) -> Path:
    """Lock of the run in progress."""
    return settings.home / "run.lock"


def marker_path(settings: Settings) -> Path:
    """Exists while a run is in progress, and after one that was killed."""
    return settings.home / "run.unfinished"


@contextmanager
def guard_run(settings: Settings, report: Callable[[str], None]) -> Iterator[bool]:
    """Wait until no other run is in progress, and remove what a killed one left behind; whether there was one."""
    settings.home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(lock_path(settings))
    try:
        lock.acquire(timeout=1)
    except Timeout:
        report("Another run is in progress: waiting for it.")
        lock.acquire()
    marker = marker_path(settings)
    try:
        was_killed = marker.exists()
        if was_killed:
            report(f"The run before did not end properly: {len(sweep(settings))} unfinished files removed.")
        marker.touch()
        yield was_killed
        marker.unlink(missing_ok=True)
    finally:
        lock.release()


def is_run_in_progress(settings: Settings) -> bool:
    """Whether a process holds the lock of runs."""
    lock = FileLock(lock_path(settings))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


def sweep(settings: Settings) -> list[Path]:
    """Remove files and folders that were never finished; returns them. Only while no run is in progress."""
    removed = []
    for folder, folders, files in os.walk(settings.home):
        if Path(folder) == settings.home:
            folders[:] = [name for name in folders if name not in LEFT_ALONE]
        for name in [*folders, *files]:
            if UNFINISHED.fullmatch(name):
                path = Path(folder) / name
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
                removed.append(path)
        folders[:] = [name for name in folders if not UNFINISHED.fullmatch(name)]
    return removed


def fail_dead_runs(instance: dg.DagsterInstance, settings: Settings) -> int:
    """Mark runs as failed whose process is gone, or they would keep the queue waiting for ever; returns how many.

    A run that began a while ago holds the lock or waits for it; where nobody holds it, it is dead.
    """
    if is_run_in_progress(settings):
        return 0
    now = datetime.now(UTC).timestamp()
    wanted = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING])
    dead = [
        record.dagster_run
        for record in instance.get_run_records(wanted)
        if now - (record.start_time or record.create_timestamp.timestamp()) > DEAD_AFTER_S
    ]
    for run in dead:
        instance.report_run_failed(run, "The process of the run is gone: it was killed.")
    return len(dead)
