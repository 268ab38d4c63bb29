"""`make doctor`: is the installation well? `make verify` (`--all`): and is every file what was written?

What belongs here: looking, never mending; each finding is a line with what to do. Exit status 1 where something has failed.
"""

import argparse
import importlib.metadata
import os
import re
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import yaml

from dagster_project import engine
from dagster_project.case_work import verify_volume
from dagster_project.code_version import ROOT, hash_code
from dagster_project.publication import CHECKSUMS, STAMP, find_damaged_files
from dagster_project.release_watch import State, list_standings
from dagster_project.run_guard import is_run_in_progress, marker_path
from dagster_project.settings import Settings, load_settings
from dagster_project.update import needs_rebuild
from dagster_project.warehouse import DamagedWarehouse, Warehouse, read_everything
from dagster_project.withdrawal import list_snapshots
from models.segmentation.inference import InvalidModel, choose_device, open_model

WELL, WARNING, FAILED = "ok", "warning", "FAILED"
LEAST_FREE_GB = 20
VERIFICATION_DEADLINE_S = 600
_PIN = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", re.MULTILINE)


@dataclass(frozen=True)
class Finding:
    """A line of the report."""

    state: str
    subject: str
    sentence: str


def examine(settings: Settings, is_thorough: bool = False) -> list[Finding]:
    """All findings; a look that raises is a finding itself."""
    looks: list[Callable[[Settings], Iterator[Finding]]] = [
        _look_at_versions,
        _look_at_device,
        _look_at_disk,
        _look_at_permissions,
        _look_at_locks,
        _look_at_telemetry,
        _look_at_snapshots,
        _look_at_releases,
    ]
    looks += [_read_warehouse, _read_derivatives] if is_thorough else []
    findings = []
    for look in looks:
        subject = look.__name__.removeprefix("_look_at_").removeprefix("_read_")
        try:
            findings += [Finding(state, subject, sentence) for state, sentence in look(settings)]
        except (OSError, ValueError, LookupError, AttributeError, duckdb.Error) as error:
            findings.append(Finding(FAILED, subject, f"could not be looked at: {type(error).__name__}."))
    return findings


def _look_at_versions(_: Settings) -> Iterator[tuple[str, str]]:
    pins = dict(_PIN.findall((ROOT / "requirements.lock").read_text(encoding="utf-8")))
    installed = {name: _find_version(name) for name in pins}
    others = [
        f"{name} {installed[name]} (locked {pin})" for name, pin in pins.items() if installed[name] not in (pin, None)
    ]
    absent = [name for name in pins if installed[name] is None]
    if absent:
        yield (
            FAILED,
            f"{len(absent)} locked packages are absent, among them {absent[0]}: remove .venv and run make again.",
        )
    if others:
        yield WARNING, f"{len(others)} packages are not as locked: {', '.join(others[:5])}."
    if not absent and not others:
        yield WELL, f"Python {sys.version.split()[0]}, {len(pins)} packages as locked, code {hash_code()}."


def _find_version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _look_at_device(settings: Settings) -> Iterator[tuple[str, str]]:
    try:
        model = open_model(settings.model)
    except InvalidModel as error:
        yield FAILED, str(error)
        return
    cores, memory_gb = len(os.sched_getaffinity(0)), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    workers = (
        f"{settings.local_workers} local workers" if settings.engine == "local" else f"Ray at {settings.ray_address}"
    )
    sentence = f"{choose_device(settings.device)}, {cores} cores, {memory_gb:.0f} GB, {workers}; model {model.model_version} is whole."
    yield (WARNING if memory_gb < 4 * settings.local_workers and settings.engine == "local" else WELL), sentence


def _look_at_disk(settings: Settings) -> Iterator[tuple[str, str]]:
    settings.home.mkdir(parents=True, exist_ok=True)
    free_gb = shutil.disk_usage(settings.home).free / 2**30
    state = WELL if free_gb >= LEAST_FREE_GB else FAILED if free_gb < 1 else WARNING
    yield state, f"{free_gb:.0f} GB free in MYONORM_HOME; a participant of NAKO's size takes about 0.2 GB."
    if not os.access(settings.home, os.W_OK):
        yield FAILED, "MYONORM_HOME cannot be written."


def _look_at_permissions(settings: Settings) -> Iterator[tuple[str, str]]:
    secret = [settings.home / "secret.key", *settings.snapshots.glob("*/research.duckdb"), settings.warehouse_file]
    open_to_others = [path.relative_to(settings.home) for path in secret if path.is_file() and _mode(path) & 0o077]
    if _mode(settings.home) & 0o007 and open_to_others:
        names = ", ".join(map(str, open_to_others[:3]))
        yield WARNING, f"Others can reach MYONORM_HOME and read {names}: chmod o-rwx it, and run with umask 027."
    else:
        yield WELL, "Participant-level files are closed to others."


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _look_at_locks(settings: Settings) -> Iterator[tuple[str, str]]:
    is_running = is_run_in_progress(settings)
    if is_running:
        yield WELL, "A run is in progress."
    elif marker_path(settings).exists():
        yield WARNING, "The last run did not end properly: the next one tidies up and goes on."
    else:
        yield WELL, "No run is in progress, and none was killed."
    if needs_rebuild(settings):
        yield WARNING, "The warehouse is being built anew, or is gone: make rebuild."


def _look_at_telemetry(settings: Settings) -> Iterator[tuple[str, str]]:
    dagster = settings.home / "dagster" / "dagster.yaml"
    configured = yaml.safe_load((dagster if dagster.is_file() else ROOT / "dagster.yaml").read_text(encoding="utf-8"))
    streamlit = (ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8")
    is_off = not configured["telemetry"]["enabled"] and "gatherUsageStats = false" in streamlit
    yield (
        (WELL, "Telemetry of Dagster and Streamlit is off.")
        if is_off
        else (FAILED, "Telemetry is on: restore dagster.yaml.")
    )
    is_local = 'address = "127.0.0.1"' in streamlit
    yield (
        (WELL, "The dashboard listens on this machine alone.")
        if is_local
        else (
            WARNING,
            "The dashboard listens on the network: only behind a proxy with sign-in.",
        )
    )


def _look_at_snapshots(settings: Settings) -> Iterator[tuple[str, str]]:
    folders = list_snapshots(settings.snapshots)
    current = (settings.snapshots / "current").resolve()
    if not folders:
        yield WARNING, "Nothing was published yet."
        return
    if current not in folders:
        yield FAILED, "snapshots/current names no snapshot: make update publishes one."
        return
    damaged = [
        f"{folder.name}/{name}"
        for folder in folders
        if (folder / CHECKSUMS).is_file()
        for name in find_damaged_files(folder)
    ]
    if damaged:
        yield (
            FAILED,
            f"{len(damaged)} published files are not what was written, among them {damaged[0]}: remove the snapshot, run make rebuild.",
        )
    published = datetime.strptime(current.name, STAMP).replace(tzinfo=UTC)
    now = datetime.now(UTC)
    if published > now:
        yield (
            WARNING,
            f"The current snapshot is of {published:%Y-%m-%d %H:%M} UTC, which is yet to come: was the clock set back?",
        )
    elif not damaged:
        yield WELL, f"{len(folders)} kept and whole, the current one {(now - published).days} days old."


def _look_at_releases(settings: Settings) -> Iterator[tuple[str, str]]:
    standings = list_standings(settings)
    counts = [f"{sum(standing.state == state for standing in standings)} {state}" for state in State]
    unusable = [f"{standing.name}: {standing.reason}" for standing in standings if standing.state == State.UNUSABLE]
    yield (WARNING if unusable else WELL), ", ".join(counts) + "." + "".join(f" {reason}" for reason in unusable)


def _read_warehouse(settings: Settings) -> Iterator[tuple[str, str]]:
    if not settings.warehouse_file.is_file():
        yield WARNING, "There is no warehouse yet."
        return
    try:
        with Warehouse().connect() as connection:
            read_everything(connection)
    except DamagedWarehouse as error:
        yield FAILED, str(error)
    else:
        yield WELL, "Every block of warehouse.duckdb was read and is what was written."


def _read_derivatives(settings: Settings) -> Iterator[tuple[str, str]]:
    files = sorted((settings.home / "derivatives").rglob("*.nii.gz"))
    outcomes = list(engine.open_engine(settings).run(verify_volume, files, VERIFICATION_DEADLINE_S))
    n_damaged = sum(outcome.code is not None for outcome in outcomes)
    if n_damaged:
        yield FAILED, f"{n_damaged} of {len(files)} volumes and masks are damaged: remove them, and run make rebuild."
    else:
        yield WELL, f"All {len(files)} volumes and masks were read and are what was written."


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Say whether the installation is well.")
    parser.add_argument("--all", action="store_true", help="also read the whole warehouse and every volume and mask")
    findings = examine(load_settings(), parser.parse_args().all)
    for finding in findings:
        print(f"{finding.state:8s} {finding.subject:12s} {finding.sentence}")
    return int(any(finding.state == FAILED for finding in findings))


if __name__ == "__main__":
    sys.exit(main())
