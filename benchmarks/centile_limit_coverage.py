"""How often the 95 % limits of the centiles hold the truth: 200 cohorts of simulate_cohort.py, by region of the grid.

Averaged over the scored grid it should lie between 93 and 97 %. Penalised limits hold on average over the curve, not at
each point: the worst region is named. About five minutes on an idle core: ``python -m benchmarks.centile_limit_coverage``
(an argument changes the number of cohorts).
"""

import json
import sys

import pandas as pd

from benchmarks.centile_accuracy import CENTILES, load_simulator
from models.statistics.norm_table import support
from models.statistics.normative import centile, fit

COHORTS = 200
FIRST_SEED = 1001


def cover(simulator, seed: int) -> pd.DataFrame:
    """Whether each limit of one cohort holds its true centile: sex, age, bmi, centile, is_covered."""
    cohort, true, parts = simulator.simulate(seed), simulator.true_centiles(), []
    for sex, people in cohort.groupby("sex"):
        model = fit(people["age"], people["bmi"], people["csa_psoas_cm2"])
        cells = support(people["age"], people["bmi"])
        scored = true[true["sex"] == sex].merge(cells, left_on=["age", "bmi"], right_on=["age_years", "bmi_kg_m2"])
        for percent in CENTILES:
            limits, truth = centile(model, scored["age"], scored["bmi"], percent), scored[f"p{percent}"]
            is_covered = (limits["ci_low"] <= truth) & (truth <= limits["ci_high"])
            parts.append(scored[["sex", "age", "bmi"]].assign(centile=percent, is_covered=is_covered))
    return pd.concat(parts, ignore_index=True)


def main() -> None:
    """Print coverage by centile, the worst regions, and the figure."""
    simulator = load_simulator()
    cohorts = int(sys.argv[1]) if len(sys.argv) > 1 else COHORTS
    found = pd.concat([cover(simulator, FIRST_SEED + k) for k in range(cohorts)], ignore_index=True)
    print((100 * found.groupby("centile")["is_covered"].mean()).round(1).to_string())
    regions = found.groupby(["sex", "age", "bmi"])["is_covered"].agg(["mean", "count"])
    often = regions[regions["count"] >= 0.5 * cohorts * len(CENTILES)]["mean"]
    print("worst regions, % covered:", (100 * often.nsmallest(5)).round(1).to_dict())
    value = round(100 * float(found["is_covered"].mean()), 2)
    print(json.dumps({"figure": "centile_limit_coverage_pct", "value": value, "unit": "%"}))


if __name__ == "__main__":
    main()
