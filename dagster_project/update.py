"""`make update RELEASE=<names>`: process releases and publish, from the command line, through the same jobs the UI runs.

The last line printed is `published <stamp>`, `blocked: <checks>` or `unchanged`; exit status 1 only where a release could not
be processed at all.
"""

import argparse
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

import dagster as dg
import duckdb
from filelock import FileLock

from dagster_project.code_version import hash_code
from dagster_project.defs.releases import RELEASE_NAME, Release, UnusableRelease, open_release, releases
from dagster_project.identity import Identity
from dagster_project.rerun import Rerun, hide
from dagster_project.review_files import CORRECTION_KEY, hash_review_files, list_corrected
from dagster_project.settings import Settings, load_settings
from models.segmentation.inference import InvalidModel, open_model

RUN_CONFIG = {"loggers": {"console": {"config": {"log_level": "INFO"}}}}


class RunFailed(RuntimeError):
    """A run ended with an error; the message names the failed steps."""


def open_instance() -> dg.DagsterInstance:
    """The Dagster instance under MYONORM_HOME/dagster, configured by the shipped dagster.yaml."""
    folder = load_settings().home / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(__file__).parent.parent / "dagster.yaml", folder)
    os.environ["DAGSTER_HOME"] = str(folder)
    return dg.DagsterInstance.get()


def update(names: list[str], rerun: Rerun | None = None, is_published_after: bool = True) -> str:
    """Process the releases that changed since the last publication, then publish; returns the last line to print.

    Where only readers' verdicts or corrected masks are new, the releases are left alone.
    With `rerun` all named releases are processed, and what it names is done again. Without `is_published_after` the cohort is left
    alone, and the line is `processed`. While the warehouse is being built anew, all releases are processed.

    Raises
    ------
    UnusableRelease, InvalidModel
        If a release or the model cannot be used at all.
    RunFailed
        If a run failed for another reason than an asset check.
    """
    settings = load_settings()
    settings.home.mkdir(parents=True, exist_ok=True)
    with FileLock(settings.home / "update.lock"):
        return _update_alone(settings, names, rerun, is_published_after)


def _update_alone(settings: Settings, names: list[str], rerun: Rerun | None, is_published_after: bool) -> str:
    """`update`, while no other process is at it: who waited may find everything done."""
    is_rebuilding = needs_rebuild(settings)
    if is_rebuilding:
        settings.rebuild_marker.touch()
        names = list_all(settings)
    opened = [open_release(settings.releases, name) for name in names]
    open_model(settings.model)
    changed = [release for release in opened if rerun or is_rebuilding or not is_published(release)]
    if not changed and not has_new_reviews():
        return "unchanged"
    from dagster_project.definitions import defs

    definitions = defs()
    with open_instance() as instance:
        instance.add_dynamic_partitions(releases.name, [release.name for release in changed])
        job = definitions.resolve_job_def("release_update")
        blocked: dict[str, None] = {}
        for release in changed:
            failed = _execute(job, instance, release.name, rerun and hide(rerun, _identify(release, settings)))
            if not failed and has_requeued_cases(release.name):
                failed = _execute(job, instance, release.name)
            blocked |= dict.fromkeys(failed)
        if blocked:
            return f"blocked: {', '.join(blocked)}"
        if not is_published_after:
            return "processed"
        failed = _execute(definitions.resolve_job_def("cohort_update"), instance, None)
    if failed:
        return f"blocked: {', '.join(failed)}"
    settings.rebuild_marker.unlink(missing_ok=True)
    return f"published {(settings.snapshots / 'current').resolve().name}"


def _identify(release: Release, settings: Settings) -> Identity:
    return Identity(release.study, settings.resolve_secret_key(), settings.hash_pseudonyms)


def needs_rebuild(settings: Settings) -> bool:
    """Whether the warehouse is being built anew, or is gone although something was published from it."""
    is_gone = not settings.warehouse_file.is_file() and settings.published_file("research") is not None
    return is_gone or settings.rebuild_marker.exists()


def list_all(settings: Settings) -> list[str]:
    """Names of all releases on disk: in the order in which they were first registered, as far as a file knows it, then by name."""
    order: dict[str, int] = {}
    for path in ((settings.snapshots / "current").resolve() / "research.duckdb", settings.warehouse_file):
        if path.is_file():
            with suppress(duckdb.Error), duckdb.connect(str(path), read_only=True) as connection:
                order |= dict(connection.execute("SELECT release, registration FROM raw.release").fetchall())
    folders = settings.releases.iterdir() if settings.releases.is_dir() else ()
    names = [path.name for path in folders if path.is_dir() and RELEASE_NAME.fullmatch(path.name)]
    return sorted(names, key=lambda name: (order.get(name, len(order) + 1), name))


def has_new_reviews() -> bool:
    """Whether readers' verdicts or corrected masks differ from those in the current snapshot."""
    settings = load_settings()
    path = settings.published_file("research")
    if not path:
        return False
    with duckdb.connect(str(path), read_only=True) as connection:
        files = dict(connection.execute("SELECT file, sha256 FROM imaging.review_file").fetchall())
        corrections = connection.execute(f"SELECT {', '.join(CORRECTION_KEY)} FROM imaging.correction").fetchall()
    lying = {case.key for case in list_corrected(settings.home)}
    return files != hash_review_files(settings.home / "reviews") or set(corrections) != lying


def has_requeued_cases(release: str) -> bool:
    """Whether quality control corrected images of the release (fat-water swaps), so that they want segmenting again."""
    settings = load_settings()
    with duckdb.connect(str(settings.warehouse_file), read_only=True) as connection:
        return bool(
            connection.execute(
                """
                SELECT count(*)
                FROM segmentation_worklist($model)
                WHERE release = $release AND attempts = 0
                    AND (study, participant_id, visit) IN (
                        SELECT (study, participant_id, visit) FROM raw.dixon_series WHERE is_swap_corrected
                    )
                """,
                {"model": open_model(settings.model).model_version, "release": release},
            ).fetchone()[0]
        )


def is_published(release: Release) -> bool:
    """Whether the current snapshot holds this very release, made by this very code and model."""
    settings = load_settings()
    path = settings.snapshots / "current" / "normative.duckdb"
    if not path.is_file():
        return False
    with duckdb.connect(str(path.resolve()), read_only=True) as connection:
        return bool(
            connection.execute(
                "SELECT count(*) FROM meta.release_log WHERE snapshot = ? AND release = ? AND fingerprint = ? AND model_version = ? AND code_version = ?",
                [
                    path.resolve().parent.name,
                    release.name,
                    release.fingerprint,
                    open_model(settings.model).model_version,
                    hash_code(),
                ],
            ).fetchone()[0]
        )


def _execute(
    job: dg.JobDefinition, instance: dg.DagsterInstance, partition_key: str | None, rerun: Rerun | None = None
) -> list[str]:
    """Run a job; returns the names of the asset checks that failed, but for those that only warn."""
    ops = {"ops": {"intake": {"config": rerun.model_dump()}}} if rerun else {}
    result = job.execute_in_process(
        instance=instance, partition_key=partition_key, run_config=RUN_CONFIG | ops, raise_on_error=False
    )
    failed_checks = [
        f"{'.'.join(evaluation.asset_key.path)}:{evaluation.check_name}"
        for evaluation in result.get_asset_check_evaluations()
        if not evaluation.passed and evaluation.severity == dg.AssetCheckSeverity.ERROR
    ]
    if not result.success and not failed_checks:
        failed_steps = [event.step_key for event in result.all_events if event.is_step_failure]
        raise RunFailed(
            f"{job.name} failed in {', '.join(failed_steps)}: see the run {result.run_id} in the Dagster UI (make dagster)."
        )
    return failed_checks


def main() -> int:
    """Command line: names of releases, what to do again."""
    parser = argparse.ArgumentParser(description="Process releases that are new or changed, and publish.")
    parser.add_argument("releases", nargs="*", help="folders under releases/")
    parser.add_argument("--all", action="store_true", help="every release, in the order of registration, then of names")
    parser.add_argument("--participants", nargs="+", default=[], help="do these again, from the delivery on")
    parser.add_argument("--retry-failed", action="store_true", help="try again what failed or was refused")
    arguments = parser.parse_args()
    rerun = Rerun(participants=arguments.participants, retry_failed=arguments.retry_failed)
    try:
        names = list_all(load_settings()) if arguments.all else arguments.releases
        print(update(names, rerun if rerun != Rerun() else None))
    except (UnusableRelease, InvalidModel, RunFailed) as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
