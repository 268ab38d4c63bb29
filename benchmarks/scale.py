"""A cohort of NAKO's size through every stage but the images: a full run, an update of 1 %, an update of nothing.

Simulated workers (`simulated_workers.py`) answer for reading, segmenting, measuring and judging; about 10 million profile rows
stream in as from real ones. Run: ``python -m benchmarks.scale [N ...]``; without sizes 30,927, with several also the growth: the
exponent of seconds over participants, 1 where linear.
"""

import argparse
import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np

N = 30_927
SHARE_OF_WOMEN = 12_262 / 27_805
ONE_PERCENT = 0.01
ASKED = {"full_run_seconds": 600, "full_run_peak_mb": 4096, "one_percent_stage_ratio": 0.03, "noop_update_seconds": 10}
LOG = {"loggers": {"console": {"config": {"log_level": "WARNING"}}}}


def run_size(n: int) -> dict[str, float]:
    """Figures of one size; in a process of its own, so that its memory is its own."""
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "MYONORM_HOME": home, "MYONORM_MODEL": "phantom-v1", "MYONORM_WORKERS": "2"}
        command = [sys.executable, "-m", "benchmarks.scale", "--one", str(n)]
        process = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(process.stdout.splitlines()[-1])


def measure(n: int) -> dict[str, float]:
    """In MYONORM_HOME: two releases, a third of 1 %, nothing new; seconds by figure."""
    from benchmarks.simulated_workers import SimulatedCohort
    from dagster_project import update as updating
    from dagster_project.settings import load_settings

    logging.getLogger("dagster").setLevel(logging.WARNING)
    updating.RUN_CONFIG = LOG
    settings = load_settings()
    n_extra = round(n * ONE_PERCENT)
    n_women = round((n + n_extra) * SHARE_OF_WOMEN)
    cohort = SimulatedCohort(1, n_women, n + n_extra - n_women)
    first, second = cohort.people.iloc[: round(0.38 * n)], cohort.people.iloc[round(0.38 * n) : n]
    cohort.write_release(settings.releases / "2025-1", first)
    cohort.write_release(settings.releases / "2026-1", second)
    figures: dict[str, float] = {}
    with cohort.at_work():
        figures["full_run_seconds"] = _time(lambda: updating.update(["2025-1", "2026-1"]), "published")
        full, cohort_s = _sum_steps("release_update"), _sum_steps("cohort_update")
        cohort.write_release(settings.releases / "2026-2", cohort.people.iloc[n:])
        figures["one_percent_update_seconds"] = _time(lambda: updating.update(["2026-2"]), "published")
        extra = _sum_steps("release_update") - full
        figures["noop_update_seconds"] = _time(lambda: updating.update(["2025-1", "2026-1", "2026-2"]), "unchanged")
        figures["worklist_seconds"] = _time_worklist(settings)
    figures |= {"per_participant_stages_seconds": full, "cohort_stages_seconds": cohort_s}
    figures |= {"one_percent_stage_ratio": extra / full, "one_percent_stage_seconds": extra}
    figures["full_run_peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures["work_units"] = sum(cohort.units.values())
    return figures


def _time(update, expected: str) -> float:
    began = time.perf_counter()
    last_line = update()
    if not last_line.startswith(expected):
        raise SystemExit(f"The update ended with: {last_line}")
    return time.perf_counter() - began


def _time_worklist(settings) -> float:
    """The longest of the three questions that a run asks of the whole warehouse before it works."""
    from dagster_project.plan import open_to_read
    from models.segmentation.inference import open_model

    began = time.perf_counter()
    with open_to_read(settings) as connection:
        model = {"model": open_model(settings.model).model_version}
        connection.execute("SELECT count(*) FROM segmentation_worklist($model)", model).fetchone()
    return time.perf_counter() - began


def _sum_steps(job: str) -> float:
    """Seconds of all steps of a job's runs so far; the slowest are printed."""
    import dagster as dg

    from dagster_project.update import open_instance

    with open_instance() as instance:
        runs = instance.get_runs(dg.RunsFilter(job_name=job))
        steps = [step for run in runs for step in instance.get_run_step_stats(run.run_id)]
    seconds = sorted(
        ((step.end_time - step.start_time, step.step_key) for step in steps if step.end_time), reverse=True
    )
    for value, key in seconds[:8]:
        print(f"{value:8.2f} s  {job} {key}", file=sys.stderr)
    return sum(value for value, _ in seconds)


def report(figure: str, value: float, unit: str, **facts) -> None:
    """Print a line of JSON."""
    print(json.dumps({"figure": figure, "value": float(f"{value:.4g}"), "unit": unit, **facts}))


def main() -> None:
    """Measure the sizes, report the largest, print the growth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=[N])
    parser.add_argument("--one", type=int)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one)))
        return
    sizes = sorted(arguments.sizes)
    results = [run_size(n) for n in sizes]
    for n, figures in zip(sizes, results, strict=True):
        print(f"{n:6,d} participants: " + ", ".join(f"{name} {value:.3g}" for name, value in figures.items()))
    for name in ("full_run_seconds", "per_participant_stages_seconds", "cohort_stages_seconds", "full_run_peak_mb"):
        if len(sizes) > 1:
            slope = np.polyfit(np.log(sizes), np.log([figures[name] for figures in results]), 1)[0]
            report(f"growth_exponent_{name}", slope, "1", sizes=sizes)
    for name, value in results[-1].items():
        unit = "s" if name.endswith("_seconds") else "MB" if name.endswith("_mb") else "1"
        report(name, value, unit, participants=sizes[-1], **({"asked": ASKED[name]} if name in ASKED else {}))


if __name__ == "__main__":
    main()
