"""Full disks, two at once, damage, read-only folders, no network: the snapshot stays readable and right, the next run ends well."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from dagster_project.publication import find_damaged_files
from tests.faults.homes import RELEASES, Home, find_differences, read_tables

pytestmark = pytest.mark.faults
SNAPSHOT_FILES = ("normative.duckdb", "research.duckdb")


def need_root() -> None:
    """Mounts and network namespaces are root's."""
    if os.geteuid() or subprocess.run(["unshare", "-n", "true"], check=False, capture_output=True).returncode:
        pytest.skip("Not root, or no namespaces: disks of a given size cannot be mounted here.")


@pytest.fixture
def mounts():
    """Folders that are unmounted afterwards."""
    mounted: list[Path] = []
    yield mounted
    for path in reversed(mounted):
        subprocess.run(["umount", path], check=True)


def test_disk_full_at_every_step(make_home, reference, tmp_path, mounts):
    """The disk grows until a run gets through; what was published before is served all the while."""
    need_root()
    source, disk = make_home(), tmp_path / "disk"
    used_mb = sum(path.stat().st_size for path in source.path.rglob("*") if path.is_file()) // 2**20
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={used_mb + 2}m", "tmpfs", disk], check=True)
    mounts.append(disk)
    shutil.copytree(source.path, disk / "home")
    home, failures = Home(disk / "home", is_simulated=True), 0
    for extra_mb in [3, 6, 10, 15, 20, 25, 30, 36, 44, 55, 70, 90, 400]:
        subprocess.run(["mount", "-o", f"remount,size={used_mb + extra_mb}m", disk], check=True)
        process = home.start(*RELEASES)
        out, error = process.communicate(timeout=900)
        last = (out.strip().splitlines() or [""])[-1]
        if (home.path / "snapshots" / "current").exists():
            assert find_damaged_files(home.snapshot) == []
        if process.returncode == 0 and last.startswith(("published", "unchanged")):
            break
        failures += 1
        assert error.strip()
    assert failures >= 3
    assert find_differences(home.read_tables(), reference.read_tables()) in ([], ["imaging.segmentation.attempts"])
    assert home.list_files() == reference.list_files()


def test_two_updates_at_once_take_turns(make_home, reference):
    home = make_home()
    both = [home.start(*RELEASES), home.start(*RELEASES)]
    lines = []
    for process in both:
        out, error = process.communicate(timeout=900)
        assert process.returncode == 0, error[-3000:]
        lines.append(out.strip().splitlines()[-1].split()[0])
    assert sorted(lines) == ["published", "unchanged"]
    assert find_differences(home.read_tables(), reference.read_tables()) == []


def test_rebuild_makes_equal_tables_without_the_network(make_real_home, real_reference):
    """A backup on an empty machine: the percentiles are there at once, and the warehouse comes back from its sources."""
    home = make_real_home()
    shutil.rmtree(home.path)
    left_out = shutil.ignore_patterns("warehouse.duckdb*", "warehouse.commit", "dagster")
    shutil.copytree(real_reference.path, home.path, symlinks=True, ignore=left_out)
    restored = read_tables(home.snapshot / "normative.duckdb")["norms.centile"]
    assert (
        find_differences(
            {"norms.centile": restored},
            {"norms.centile": read_tables(real_reference.snapshot / "normative.duckdb")["norms.centile"]},
        )
        == []
    )
    began = time.time()
    assert home.run(module="rebuild").startswith("published ")
    tables, expected = home.read_tables(), real_reference.read_tables()
    log = tables.pop("meta.release_log")
    assert len(log) == 2 * len(expected.pop("meta.release_log"))  # the log goes on
    assert find_differences(tables, expected) == []
    masks = list((home.path / "derivatives").rglob("*_dseg.nii.gz"))
    assert masks and all(mask.stat().st_mtime < began for mask in masks)


@pytest.mark.parametrize("part", ["warehouse", "snapshot", "derivative"])
def test_bit_flips_are_detected(make_real_home, real_reference, part):
    home = make_real_home()
    shutil.rmtree(home.path)
    shutil.copytree(real_reference.path, home.path, symlinks=True)
    target = {
        "warehouse": home.path / "warehouse.duckdb",
        "snapshot": home.snapshot / "normative.duckdb",
        "derivative": min((home.path / "derivatives").rglob("*_dseg.nii.gz")),
    }[part]
    content = bytearray(target.read_bytes())
    for place in range(len(content) // 20, len(content), len(content) // 10):
        content[place] ^= 1
    target.write_bytes(content)
    process = home.start("--all", module="doctor")
    out, _ = process.communicate(timeout=900)
    assert process.returncode == 1 and "FAILED" in out
    assert home.run(module="rebuild").startswith("published ")
    tables, expected = home.read_tables(), real_reference.read_tables()
    tables.pop("meta.release_log"), expected.pop("meta.release_log")
    assert find_differences(tables, expected) == []


def test_read_only_releases(make_home, reference, mounts):
    need_root()
    home = make_home()
    releases = home.path / "releases"
    subprocess.run(["mount", "--bind", releases, releases], check=True)
    mounts.append(releases)
    subprocess.run(["mount", "-o", "remount,bind,ro", releases], check=True)
    assert home.run(*RELEASES).startswith("published ")
    assert find_differences(home.read_tables(), reference.read_tables()) == []


def test_no_network_at_all(make_home, reference):
    """In a network namespace without any interface, names are resolved by nobody: update and export work all the same."""
    need_root()
    home, alone = make_home(), ("unshare", "-n")
    assert home.run(*RELEASES, wrapper=alone).startswith("published ")
    assert find_differences(home.read_tables(), reference.read_tables()) == []
    home.run("stats.descriptive", str(home.path / "export"), module="export", wrapper=alone)
    assert (home.path / "export" / "stats.descriptive.csv").is_file()


def test_clock_that_was_set_back_does_not_hide_the_newest_snapshot(make_home):
    """The current snapshot is of a time yet to come; the next one still follows it, and is the one served."""
    home = make_home()
    home.run("cohort")
    future = home.path / "snapshots" / "20990101T000000000000Z"
    home.snapshot.rename(future)
    (home.path / "snapshots" / "current").unlink()
    (home.path / "snapshots" / "current").symlink_to(future.name)
    (home.path / "releases" / "cohort" / "participants.csv").touch()
    assert home.run("cohort") == "published 20990101T000000000001Z"
    assert home.snapshot.name == "20990101T000000000001Z"
