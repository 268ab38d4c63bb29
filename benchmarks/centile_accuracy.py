"""Error and time of the normative model on cohorts with known centiles: seeds 1 to 10 of simulate_cohort.py.

Scored as defined there: P3 to P97 at the grid points inside the support; mean and largest absolute relative error of
each cohort, averaged over the ten. Seconds of one core for one fit with the penalties chosen, and the process's peak
memory. The simulator lies beside the checkout, in shared/tools: ``python -m benchmarks.centile_accuracy``.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy: one core

import importlib.util
import json
import resource
import time
from pathlib import Path

import numpy as np

from models.statistics.box_cox import value_of
from models.statistics.norm_table import support
from models.statistics.normative import fit

SIMULATOR = Path(__file__).parents[2] / "shared" / "tools" / "simulate_cohort.py"
CENTILES = (3, 10, 25, 50, 75, 90, 97)


def load_simulator():
    """The module simulate_cohort.py."""
    spec = importlib.util.spec_from_file_location("simulate_cohort", SIMULATOR)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Print the three figures."""
    simulator = load_simulator()
    true = simulator.true_centiles()
    means, largest, seconds = [], [], []
    for seed in range(1, 11):
        cohort, errors = simulator.simulate(seed), []
        for sex, people in cohort.groupby("sex"):
            began = time.process_time()
            model = fit(people["age"], people["bmi"], people["csa_psoas_cm2"])
            seconds.append(time.process_time() - began)
            cells = support(people["age"], people["bmi"])
            scored = true[true["sex"] == sex].merge(cells, left_on=["age", "bmi"], right_on=["age_years", "bmi_kg_m2"])
            for percent in CENTILES:
                fitted = value_of(model, scored["age"], scored["bmi"], percent)
                errors.append(100 * np.abs(fitted / scored[f"p{percent}"] - 1))
        errors = np.concatenate(errors)
        means.append(errors.mean()), largest.append(errors.max())
        print(f"seed {seed}: mean {means[-1]:.3f} %, largest {largest[-1]:.2f} %, fits {seconds[-2:]} s")
    print(
        f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB; slowest fit {max(seconds):.2f} s"
    )
    print(json.dumps({"figure": "centile_fit_seconds", "value": round(float(np.mean(seconds)), 3), "unit": "s"}))
    print(json.dumps({"figure": "centile_max_error_pct", "value": round(float(np.mean(largest)), 3), "unit": "%"}))
    print(json.dumps({"figure": "centile_error_pct", "value": round(float(np.mean(means)), 3), "unit": "%"}))


if __name__ == "__main__":
    main()
