"""`make rebuild`: the warehouse anew from releases, derivatives, verdicts and tombstones, without running the network.

Deliveries are read again; a mask on disk is taken as it is where it was made of the same images by the same model; all else is
computed. Wanted after damage, and after an upgrade that changed the tables. A rebuild that was ended early is gone on with by the
next update of anything.
"""

import argparse
import os
import subprocess
import sys

import duckdb

from dagster_project.defs.releases import UnusableRelease
from dagster_project.rerun import Rerun
from dagster_project.run_guard import is_run_in_progress
from dagster_project.settings import Settings, load_settings
from dagster_project.update import RunFailed, list_all, update
from models.segmentation.inference import InvalidModel, open_model


def rebuild(settings: Settings) -> str:
    """Build the warehouse anew and publish; returns the last line to print.

    Raises
    ------
    UnusableRelease
        If a run is in progress, or there is no release.
    RunFailed, InvalidModel
        As `update`.
    """
    if is_run_in_progress(settings):
        raise UnusableRelease("A run is in progress: wait for its end, or end it.")
    names = list_all(settings)
    if not names:
        raise UnusableRelease("There is no release to build from under releases/.")
    settings.rebuild_marker.touch()
    for path in settings.home.glob("warehouse.duckdb*"):
        path.unlink()
    for model in list_former_models(settings):
        command = [sys.executable, "-m", "dagster_project.rebuild", "--process"]
        subprocess.run(command, env={**os.environ, "MYONORM_MODEL": model}, check=True)
    return update(names)


def list_former_models(settings: Settings) -> list[str]:
    """Models other than the one in force whose masks the current snapshot knows, by name or folder; those still installed."""
    path = settings.published_file("research")
    if not path:
        return []
    with duckdb.connect(str(path), read_only=True) as connection:
        rows = connection.execute("SELECT DISTINCT model_version FROM imaging.segmentation ORDER BY ALL").fetchall()
    promoted = {line["model_version"]: line["model"] for line in settings.read_promotions()}
    former = []
    for (version,) in rows:
        try:
            model = open_model(settings.find_model(promoted.get(version, version)))
        except InvalidModel:
            continue
        if model.model_version != open_model(settings.model).model_version:
            former.append(promoted.get(version, version))
    return former


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Build the warehouse anew without running the network, and publish.")
    parser.add_argument("--process", action="store_true", help="only process the releases, with the model in force")
    arguments = parser.parse_args()
    settings = load_settings()
    try:
        if arguments.process:
            print(update(list_all(settings), Rerun(), is_published_after=False))
        else:
            print(rebuild(settings))
    except (UnusableRelease, InvalidModel, RunFailed, subprocess.CalledProcessError) as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
