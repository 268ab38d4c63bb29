"""`python -m tests.faults.simulated MODULE ...`: a command of the project whose image work is simulated, so that it takes seconds."""

import runpy
import sys

from benchmarks.simulated_workers import SimulatedCohort


def make_cohort() -> SimulatedCohort:
    """The same eighty participants each time."""
    return SimulatedCohort(5, 40, 40, levels=6)


if __name__ == "__main__":
    module, sys.argv = sys.argv[1], sys.argv[1:]
    with make_cohort().at_work():
        runpy.run_module(f"dagster_project.{module}", run_name="__main__")
