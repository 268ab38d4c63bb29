"""What runs unattended: new releases at night, and everything of the cohort after them.

What belongs here: the schedule and the sensors. Which releases are due is `release_watch.py`'s answer, when a table of the cohort
follows `asset_specs.py`'s.
"""

from collections.abc import Iterator

import dagster as dg

from dagster_project.code_version import hash_code
from dagster_project.defs.releases import COHORT, cohort_update, release_update, releases
from dagster_project.release_watch import State, list_standings
from dagster_project.run_guard import fail_dead_runs
from dagster_project.run_retention import delete_old_runs
from dagster_project.settings import load_settings
from dagster_project.update import has_new_reviews
from models.segmentation.inference import open_model

IN_PROGRESS = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]
PARTITION_TAG = "dagster/partition"


@dg.schedule(
    job=release_update,
    cron_schedule="0 2 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="At 2 at night: every release that is complete and new or changed since the last publication.",
)
def nightly(context: dg.ScheduleEvaluationContext):
    delete_old_runs(context.instance)
    return _request(context) or dg.SkipReason(_explain())


@dg.sensor(
    job=release_update,
    minimum_interval_seconds=600,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="By day, where switched on: looks every ten minutes for what `nightly` looks for, and tries each change once.",
)
def arrival(context: dg.SensorEvaluationContext):
    return _request(context) or dg.SkipReason(_explain())


@dg.schedule(
    job=cohort_update,
    cron_schedule="30 2 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="At half past 2: the cohort anew where readers' verdicts or corrected masks are new since the last publication.",
)
def nightly_verdicts(_: dg.ScheduleEvaluationContext):
    return dg.RunRequest() if has_new_reviews() else dg.SkipReason("No verdict and no corrected mask is new.")


def _request(context: dg.ScheduleEvaluationContext | dg.SensorEvaluationContext) -> list[dg.RunRequest]:
    """A run for every release that is due and not in the queue; its partition is registered."""
    settings = load_settings()
    fail_dead_runs(context.instance, settings)
    underway = set(_list_underway(context.instance))
    due = [standing for standing in list_standings(settings) if standing.state == State.DUE]
    wanted = [standing.release for standing in due if standing.name not in underway]
    context.instance.add_dynamic_partitions(releases.name, [release.name for release in wanted])
    version = f"{open_model(settings.model).model_version}:{hash_code()}"
    return [
        dg.RunRequest(run_key=f"{release.name}:{release.fingerprint}:{version}", partition_key=release.name)
        for release in wanted
    ]


def _list_underway(instance: dg.DagsterInstance) -> Iterator[str]:
    wanted = dg.RunsFilter(job_name=release_update.name, statuses=IN_PROGRESS)
    return (run.tags.get(PARTITION_TAG, "") for run in instance.get_runs(wanted))


def _explain() -> str:
    """Why nothing is to do: the releases that wait or cannot be used."""
    waiting = [
        f"{standing.name}: {standing.reason}"
        for standing in list_standings(load_settings())
        if standing.state in (State.INCOMPLETE, State.UNUSABLE)
    ]
    return " ".join(["No release is due.", *waiting])


@dg.definitions
def automation() -> dg.Definitions:
    """Schedule and sensors."""
    follow = dg.AutomationConditionSensorDefinition(
        "cohort_follows",
        target=COHORT,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=60,
        description="Marts, statistics, norms and a snapshot once the releases in the queue are done.",
    )
    return dg.Definitions(schedules=[nightly, nightly_verdicts], sensors=[arrival, follow])
