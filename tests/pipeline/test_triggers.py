"""What triggers what: every kind of change costs its own units of work and no others. Workers are simulated and counted."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import dagster as dg
import duckdb
import pandas as pd
import pytest

from benchmarks.simulated_workers import SimulatedCohort
from dagster_project import settings as settings_module
from dagster_project.definitions import defs
from dagster_project.defs import quality
from dagster_project.defs.releases import releases
from dagster_project.identity import Identity
from dagster_project.rerun import Rerun, hide

NOTHING: dict[str, int] = {}
N = 30
QUIET = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}


def each_stage(n: int) -> dict[str, int]:
    """So many units in every stage."""
    return {"take_in": n, "segment": n, "measure": n, "inspect": n}


@dataclass
class Runs:
    """Runs of the release job on a home of its own."""

    cohort: SimulatedCohort
    home: object
    instance: dg.DagsterInstance = field(default_factory=dg.DagsterInstance.ephemeral)

    def release(self, name: str, **config) -> dict[str, int]:
        """Run a release; returns the units of work of image stages."""
        self.cohort.units.clear()
        self.instance.add_dynamic_partitions(releases.name, [name])
        with self.cohort.at_work():
            result = DEFINITIONS.resolve_job_def("release_update").execute_in_process(
                instance=self.instance,
                partition_key=name,
                run_config=QUIET | ({"ops": {"intake": {"config": config}}} if config else {}),
            )
        assert result.success
        return {name: n for name, n in self.cohort.units.items() if name != "probe_precision"}

    def query(self, sql: str) -> list[tuple]:
        with duckdb.connect(str(self.home / "warehouse.duckdb"), read_only=True) as connection:
            return connection.execute(sql).fetchall()


DEFINITIONS = defs()


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Iterator[Runs]:
    """After a first release of thirty participants."""
    home = tmp_path_factory.mktemp("triggers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MYONORM_HOME", str(home))
        patch.setenv("MYONORM_MODEL", "phantom-v1")
        settings_module.load_settings.cache_clear()
        cohort = SimulatedCohort(5, 20, 20, levels=6)
        cohort.write_release(home / "releases" / "first", cohort.people.iloc[:N])
        runs = Runs(cohort, home)
        assert runs.release("first") == each_stage(N)
        yield runs
    settings_module.load_settings.cache_clear()


def test_unchanged_release_costs_nothing(runs):
    assert runs.release("first") == NOTHING


def test_corrected_images_cost_their_case(runs):
    before = dict(runs.query("SELECT participant_id, mask_sha256 FROM imaging.segmentation"))
    runs.cohort.write_release(runs.home / "releases" / "corrected", runs.cohort.people.iloc[:1], b"corrected")
    assert runs.release("corrected") == each_stage(1)
    after = dict(runs.query("SELECT participant_id, mask_sha256 FROM imaging.segmentation"))
    assert [person for person in before if before[person] != after[person]] == ["100000"]
    assert runs.release("first") == NOTHING


def test_one_participant_again_costs_one(runs):
    assert runs.release("first", participants=["100007"]) == each_stage(1)
    assert runs.release("first", participants=["999999"]) == NOTHING
    identity = Identity("synthetic", settings_module.load_settings().resolve_secret_key(), is_hashed=False)
    hidden = hide(Rerun(participants=["100007"]), identity).participants
    assert "100007" not in str(hidden) and runs.release("first", participants=hidden) == each_stage(1)


def test_failures_are_tried_again_on_request_alone(runs):
    with duckdb.connect(str(runs.home / "warehouse.duckdb")) as connection:
        connection.execute(
            "UPDATE imaging.segmentation SET status = 'failed', code = 'spacing_differs', mask_sha256 = NULL"
            " WHERE participant_id IN ('100003', '100004')"
        )
    assert runs.release("first") == NOTHING
    once = {"segment": 1, "measure": 1, "inspect": 1}
    assert runs.release("first", participants=["100003"], retry_failed=True) == once
    assert runs.release("first", retry_failed=True) == once


def test_changed_limits_touch_the_values_they_judge(runs, tmp_path, monkeypatch):
    thresholds = pd.read_csv(quality.THRESHOLDS)
    thresholds.loc[thresholds["check_name"] == "fat_water_swap_pct", "fail_limit"] = -1.0
    changed = tmp_path / "threshold.csv"
    thresholds.to_csv(changed, index=False)
    monkeypatch.setattr(quality, "THRESHOLDS", changed)
    assert runs.release("corrected") == NOTHING
    failed = "SELECT DISTINCT participant_id, release FROM imaging.quality WHERE verdict = 'fail'"
    assert runs.query(failed) == [("100000", "corrected")]
    monkeypatch.undo()
    runs.release("corrected")
    assert runs.query(failed) == []


def test_late_covariates_cost_no_image_work(runs):
    people = runs.cohort.people.iloc[:N].assign(weight_kg=70.0)
    folder = runs.home / "releases" / "covariates"
    folder.mkdir()
    (folder / "release.toml").write_text('study = "synthetic"\n')
    columns = ["participant_id", "visit", "sex", "age_years", "height_cm", "weight_kg", "centre"]
    people[columns].to_csv(folder / "participants.csv", index=False)
    assert runs.release("covariates") == NOTHING
    assert runs.query("SELECT DISTINCT weight_kg FROM raw.current_participant") == [(70.0,)]


def test_withdrawal_costs_no_image_work_and_takes_one_person(runs):
    folder = runs.home / "releases" / "withdrawn"
    folder.mkdir()
    (folder / "release.toml").write_text('study = "synthetic"\n')
    (folder / "withdrawals.csv").write_text("participant_id\n100009\n")
    assert runs.release("withdrawn") == NOTHING
    assert runs.query("SELECT count(DISTINCT participant_id) FROM imaging.muscle") == [(N - 1,)]
    assert runs.release("first") == NOTHING


def test_another_model_costs_masks_and_leaves_those_of_the_first(runs, monkeypatch):
    monkeypatch.setenv("MYONORM_MODEL", "phantom-v2")
    settings_module.load_settings.cache_clear()
    n = N - 2  # one withdrew, one has newer images in another release
    assert runs.release("first") == {"segment": n, "measure": n, "inspect": n}
    assert runs.release("corrected") == {"segment": 1, "measure": 1, "inspect": 1}
    models = runs.query("SELECT model_version, count(*) FROM imaging.segmentation GROUP BY ALL ORDER BY ALL")
    assert [count for _, count in models] == [N - 1, N - 1]
    monkeypatch.undo()
    settings_module.load_settings.cache_clear()
