"""How often the 95 % limits of the centiles hold the truth: 200 cohorts of simulate_cohort.py, by region of the grid.

Averaged over the scored grid it should lie between 93 and 97 %. Penalised limits hold on average over the curve, not at
each point: the worst region is named. About four minutes on an idle core: ``python -m benchmarks.centile_limit_coverage``;
arguments run a part of it: the first cohort (from 0), how many, and a file that keeps the hits, from which a later call with
the same file goes on.
"""

import json
import sys
from pathlib import Path

import pandas as pd

from benchmarks.centile_accuracy import CENTILES, load_simulator
from models.statistics.norm_table import support
from models.statistics.normative import centile, fit

COHORTS = 200
FIRST_SEED = 1001
CELL = ["sex", "age", "bmi", "centile"]


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
    first, count = (int(text) for text in sys.argv[1:3]) if len(sys.argv) > 2 else (0, COHORTS)
    kept = Path(sys.argv[3]) if len(sys.argv) > 3 else None
    fresh = pd.concat([cover(simulator, FIRST_SEED + k) for k in range(first, first + count)])
    hits = fresh.groupby(CELL)["is_covered"].agg(["sum", "count"])
    if kept and kept.exists():
        hits = hits.add(pd.read_csv(kept, index_col=CELL), fill_value=0)
    if kept:
        hits.to_csv(kept)
    cohorts = int(hits["count"].max())
    by_centile = hits.groupby("centile").sum()
    print(f"{cohorts} cohorts; by centile, %:", (100 * by_centile["sum"] / by_centile["count"]).round(1).to_dict())
    regions = hits.groupby(["sex", "age", "bmi"]).sum()
    often = regions[regions["count"] >= 0.5 * cohorts * len(CENTILES)]
    print("worst regions, %:", (100 * often["sum"] / often["count"]).round(1).nsmallest(8).to_dict())
    value = round(float(100 * hits["sum"].sum() / hits["count"].sum()), 2)
    print(json.dumps({"figure": "centile_limit_coverage_pct", "value": value, "unit": "%"}))


if __name__ == "__main__":
    main()
