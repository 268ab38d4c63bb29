"""What runs unattended: complete releases are seen, their runs requested once, the cohort follows once per change."""

import os
import time

import dagster as dg
import pytest

from dagster_project import settings as settings_module
from dagster_project.definitions import defs
from dagster_project.defs.automation import arrival, nightly
from dagster_project.defs.releases import COHORT
from dagster_project.plan import Pace, Work, write_plan
from dagster_project.release_watch import Standing, State, is_complete, list_standings
from dagster_project.run_guard import fail_dead_runs, guard_run
from dagster_project.settings import Settings

HOUR = 3600
DEFINITIONS = defs()
GRAPH = DEFINITIONS.resolve_asset_graph()
COHORT_KEYS = COHORT.resolve(GRAPH)


@pytest.fixture
def settings(tmp_path, monkeypatch) -> Settings:
    """An installation with two deliveries of tables."""
    monkeypatch.setenv("MYONORM_HOME", str(tmp_path))
    monkeypatch.setenv("MYONORM_STABLE_MINUTES", "60")
    settings_module.load_settings.cache_clear()
    settings = settings_module.load_settings()
    for name in ("2025-1", "2026-1"):
        (settings.releases / name).mkdir(parents=True)
        (settings.releases / name / "participants.csv").write_text("participant_id\n1\n")
    yield settings
    settings_module.load_settings.cache_clear()


def test_release_is_complete_when_marked_or_stable(settings):
    folder, now = settings.releases / "2026-1", time.time()
    os.utime(folder / "participants.csv", (0, 0))  # as copying tools restore times
    assert not is_complete(folder, 60, now) and is_complete(folder, 60, now + HOUR + 1)
    (folder / "_COMPLETE").touch()
    assert is_complete(folder, 60, now)
    time.sleep(0.01)
    (folder / "late.csv").touch()
    assert not is_complete(folder, 60, now)


def test_clock_that_was_set_back_makes_a_release_wait_not_start(settings):
    folder, yesterday = settings.releases / "2026-1", time.time() - 24 * HOUR
    assert not is_complete(folder, 60, yesterday)
    (folder / "_COMPLETE").touch()
    assert is_complete(folder, 60, yesterday)


def test_standings_say_why_a_release_waits(settings):
    (settings.releases / "two words").mkdir()
    (settings.releases / "2026-1" / "_COMPLETE").touch()
    standings = {standing.name: standing for standing in list_standings(settings)}
    assert [standings[name].state for name in sorted(standings)] == [State.INCOMPLETE, State.DUE, State.UNUSABLE]
    assert "60 minutes" in standings["2025-1"].reason and "letters" in standings["two words"].reason


@pytest.mark.parametrize("tick", ["nightly", "arrival"])
def test_due_release_is_requested_with_its_partition_and_not_twice(settings, tick):
    (settings.releases / "2026-1" / "_COMPLETE").touch()
    with dg.DagsterInstance.local_temp() as instance:
        evaluate = {
            "nightly": lambda: nightly(dg.build_schedule_context(instance=instance)),
            "arrival": lambda: arrival(dg.build_sensor_context(instance=instance)),
        }[tick]
        (request,) = evaluate()
        assert request.partition_key == "2026-1" and request.run_key.startswith("2026-1:")
        assert instance.get_dynamic_partitions("release") == ["2026-1"]
        job = DEFINITIONS.resolve_job_def("release_update")
        tags = {"dagster/partition": "2026-1"}
        instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTED)
        assert isinstance(evaluate(), dg.SkipReason)


def test_cohort_follows_once_per_change_and_waits_for_a_burst():
    """Three releases at once are one change; a release under way is waited for."""
    with dg.DagsterInstance.ephemeral() as instance:
        names = ["a", "b", "c"]
        instance.add_dynamic_partitions("release", names)
        tick = dg.evaluate_automation_conditions(DEFINITIONS, instance)
        assert tick.total_requested == 0
        for name in names[:2]:
            _deliver(instance, name)
        under_way = _begin(instance, "c")
        tick = dg.evaluate_automation_conditions(DEFINITIONS, instance, cursor=tick.cursor)
        assert tick.total_requested == 0
        _deliver(instance, "c")
        instance.report_run_canceled(instance.get_run_by_id(under_way))
        tick = dg.evaluate_automation_conditions(DEFINITIONS, instance, cursor=tick.cursor)
        assert {result.key for result in tick.results if tick.get_num_requested(result.key)} == COHORT_KEYS
        tick = dg.evaluate_automation_conditions(DEFINITIONS, instance, cursor=tick.cursor)
        assert tick.total_requested == 0


def _deliver(instance: dg.DagsterInstance, release: str) -> None:
    """As a finished run of a release leaves it."""
    for key in GRAPH.materializable_asset_keys - COHORT_KEYS:
        if key.path[0] != "training":
            instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=release))


def _begin(instance: dg.DagsterInstance, release: str) -> str:
    """As a run that is under way leaves it."""
    job = DEFINITIONS.resolve_job_def("release_update")
    tags = {"dagster/partition": release}
    return instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTED).run_id


def test_run_whose_process_is_gone_is_failed_and_one_in_progress_is_not(settings, monkeypatch):
    with dg.DagsterInstance.ephemeral() as instance:
        job = DEFINITIONS.resolve_job_def("release_update")
        run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
        assert fail_dead_runs(instance, settings) == 0  # it may be about to take the lock
        monkeypatch.setattr("dagster_project.run_guard.DEAD_AFTER_S", -1)
        with guard_run(settings, print):
            assert fail_dead_runs(instance, settings) == 0
        assert fail_dead_runs(instance, settings) == 1
        assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.FAILURE


def test_killed_run_is_swept_up_by_the_next(settings):
    leftovers = ["snapshots/.2026.building/a", ".warehouse.duckdb.tmp", "derivatives/s/1/30/.in.nii.gz.7.tmp"]
    kept = ["snapshots/2026/normative.duckdb", "releases/2026-1/.x.tmp", "derivatives/s/1/30/in.nii.gz"]
    for name in leftovers + kept:
        (settings.home / name).parent.mkdir(parents=True, exist_ok=True)
        (settings.home / name).touch()
    (settings.home / "run.unfinished").touch()
    lines: list[str] = []
    with guard_run(settings, lines.append):
        assert lines == ["The run before did not end properly: 3 unfinished files removed."]
    assert not any((settings.home / name).exists() for name in leftovers)
    assert all((settings.home / name).exists() for name in kept)
    assert not (settings.home / "run.unfinished").exists()


def test_plan_adds_up_what_is_due_and_says_what_is_not_known():
    due = Work(Standing("2026-1", State.DUE, None, None), {"read": 10, "segment": 10, "measure": 10, "judge": 10})
    waiting = Work(Standing("2026-2", State.INCOMPLETE, "It is copied.", None))
    pace = Pace({"read": 1.0, "segment": 30.0, "measure": 0.5, "judge": 0.5}, 60.0)
    plan = write_plan([due, waiting], pace)
    assert (
        "2026-1" in plan and "5 min" in plan and "In all: 6 min. Nothing was done." in plan and "It is copied." in plan
    )
    assert "not known before a first run" in write_plan([due], Pace(dict.fromkeys(pace.unit_s), None))
    assert "Nothing is due." in write_plan([waiting], pace)
