"""`make plan [RELEASE=<names>]`: what an update would do and how long it would take. Nothing is done and nothing written.

What belongs here: counting the units of work of each stage, and the times that earlier runs took for one: of the segmentation from
the ledger, of the other stages from Dagster's record of their steps.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import dagster as dg
import duckdb

from dagster_project.defs.measurement import list_masks
from dagster_project.defs.releases import Release, cohort_update
from dagster_project.identity import Identity
from dagster_project.imaging_intake import ImagingDoor
from dagster_project.intake_issue import Issues
from dagster_project.release_watch import Standing, State, find_standing, list_standings
from dagster_project.settings import Settings, load_settings
from dagster_project.update import open_instance
from dagster_project.warehouse import declare_schema
from dagster_project.withdrawal import Withdrawn
from models.segmentation.inference import open_model

STAGES = ("read", "segment", "measure", "judge")
# Where a stage's last run says how many units it did: asset, entry of its metadata.
COUNTED = {
    "read": ("raw/dixon_series", "read"),
    "measure": ("imaging/muscle", "measured"),
    "judge": ("imaging/quality", "judged"),
}
LOOKED_BACK = 50
SECONDS_A_CASE = """
SELECT coalesce(median(seconds) FILTER (model_version = $model), median(seconds))
FROM imaging.segmentation
WHERE status = 'done'
"""
UNJUDGED = """
SELECT count(DISTINCT (study, participant_id, visit))
FROM imaging.muscle AS muscle
ANTI JOIN imaging.quality AS judged USING (study, participant_id, visit, model_version, mask_sha256)
WHERE model_version = $model AND muscle.release = $release
"""


@dataclass(frozen=True)
class Work:
    """Units of work by stage that an update of a release would do."""

    standing: Standing
    units: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STAGES, 0))


@dataclass(frozen=True)
class Pace:
    """Seconds of wall clock for one unit of each stage, and of the cohort's stages together; None where no run told yet."""

    unit_s: dict[str, float | None]
    cohort_s: float | None

    def estimate(self, work: Work) -> float | None:
        """Seconds for a release; None where a stage with work has no known pace."""
        parts = [(n, self.unit_s[stage]) for stage, n in work.units.items() if n]
        return None if any(pace is None for _, pace in parts) else sum(n * pace for n, pace in parts)


def count_work(connection: duckdb.DuckDBPyConnection, settings: Settings, standing: Standing) -> Work:
    """Units of work of a release that is due; a delivery still to be read counts once in every stage."""
    if standing.state != State.DUE:
        return Work(standing)
    release, model_version = standing.release, open_model(settings.model).model_version
    n_new = _count_new(connection, settings, release)
    (n_pending,) = connection.execute(
        "SELECT count(*) FROM segmentation_worklist($model) WHERE release = $release",
        {"model": model_version, "release": release.name},
    ).fetchone()
    n_unmeasured = len(list_masks(connection, model_version, release.name))
    (n_unjudged,) = connection.execute(UNJUDGED, {"model": model_version, "release": release.name}).fetchone()
    n_masks = n_pending + n_new
    n_muscles = n_masks + n_unmeasured
    units = (n_new, n_masks, n_muscles, n_muscles + n_unjudged)
    return Work(standing, dict(zip(STAGES, units, strict=True)))


def find_pace(connection: duckdb.DuckDBPyConnection, settings: Settings, instance: dg.DagsterInstance) -> Pace:
    """What earlier runs took."""
    model_version = open_model(settings.model).model_version
    (seconds,) = connection.execute(SECONDS_A_CASE, {"model": model_version}).fetchone()
    unit_s = {stage: _find_step_pace(instance, *COUNTED[stage]) for stage in COUNTED}
    unit_s["segment"] = seconds and seconds / settings.local_workers
    runs = instance.get_run_records(
        dg.RunsFilter(job_name=cohort_update.name, statuses=[dg.DagsterRunStatus.SUCCESS]), limit=1
    )
    return Pace(unit_s, runs[0].end_time - runs[0].start_time if runs else None)


def write_plan(works: list[Work], pace: Pace) -> str:
    """The plan as people read it."""
    width = max([len(work.standing.name) for work in works] + [7])
    lines = [f"{'release':{width}s}  state       {'  '.join(f'{stage:>7s}' for stage in STAGES)}  about"]
    for work in works:
        standing = work.standing
        counts = "  ".join(f"{work.units[stage]:7,d}" for stage in STAGES)
        seconds = _describe(pace.estimate(work)) if standing.state == State.DUE else ""
        lines.append(f"{standing.name:{width}s}  {standing.state:10s}  {counts}  {seconds}".rstrip())
        if standing.reason:
            lines.append(f"{'':{width}s}  {standing.reason}")
    due = [work for work in works if work.standing.state == State.DUE]
    if not due:
        return "\n".join([*lines, "", "Nothing is due."])
    estimates = [pace.estimate(work) for work in due] + [pace.cohort_s]
    total = None if None in estimates else sum(estimates)
    lines += ["", f"Then the cohort's tables and a snapshot, once: {_describe(pace.cohort_s)}."]
    return "\n".join([*lines, f"In all: {_describe(total)}. Nothing was done."])


def _describe(seconds: float | None) -> str:
    if seconds is None:
        return "not known before a first run"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _count_new(connection: duckdb.DuckDBPyConnection, settings: Settings, release: Release) -> int:
    identity = Identity(release.study, settings.resolve_secret_key(), settings.hash_pseudonyms)
    withdrawn = Withdrawn(connection, identity)
    return ImagingDoor(connection, settings, release, identity, withdrawn, Issues(identity)).count_new()


def _find_step_pace(instance: dg.DagsterInstance, asset: str, entry: str) -> float | None:
    """Seconds a unit of the last run of a step that had any."""
    key = dg.AssetKey(asset.split("/"))
    for record in instance.fetch_materializations(key, limit=LOOKED_BACK).records:
        value = record.asset_materialization.metadata.get(entry)
        if value and value.value:
            step_key = record.event_log_entry.dagster_event.step_key
            (stats,) = instance.get_run_step_stats(record.run_id, [step_key])
            if stats.start_time and stats.end_time:
                return (stats.end_time - stats.start_time) / value.value
    return None


@contextmanager
def open_to_read(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse, read only; where there is none yet, an empty one in memory."""
    is_there = settings.warehouse_file.is_file()
    with duckdb.connect(str(settings.warehouse_file) if is_there else ":memory:", read_only=is_there) as connection:
        if not is_there:
            declare_schema(connection)
        yield connection


def main() -> int:
    """Command line: names of releases; all where none is named."""
    parser = argparse.ArgumentParser(description="Say what an update would do, and how long it would take.")
    parser.add_argument("releases", nargs="*", help="folders under releases/; all where none is named")
    names = parser.parse_args().releases
    settings = load_settings()
    standings = [find_standing(settings, name, time.time()) for name in names] or list_standings(settings)
    try:
        with open_to_read(settings) as connection, open_instance() as instance:
            works = [count_work(connection, settings, standing) for standing in standings]
            print(write_plan(works, find_pace(connection, settings, instance)))
    except duckdb.IOException:
        print("failed: a run is writing the warehouse; ask again when it is done.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
