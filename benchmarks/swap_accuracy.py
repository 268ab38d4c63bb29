"""Sensitivity and specificity of swap detection on 400 phantoms of all BMI classes: whole, one station, half a station.

Half of the phantoms have no swap. A case counts as found where the check warns or fails. ``python -m benchmarks.swap_accuracy``.
"""

import json
from collections import Counter
from pathlib import Path

from models.imaging.swap import find_swaps
from models.measurement.quality import read_thresholds
from tests.models.imaging.swaps import draw_case

N_CASES = 400
LIMIT_PCT = read_thresholds(Path("sql/ref/threshold.csv"))["fat_water_swap_pct"].warn_limit


def main() -> None:
    """Print what was found of each kind, then both figures."""
    found, drawn = Counter(), Counter()
    for seed in range(N_CASES):
        kind, dixon = draw_case(seed)
        drawn[kind] += 1
        found[kind] += find_swaps(dixon.volumes["water"], dixon.volumes["fat"], dixon.affine).swapped_pct > LIMIT_PCT
    print({kind: f"{found[kind]} of {n}" for kind, n in sorted(drawn.items())})
    sound, swapped = drawn.pop("none"), sum(n for kind, n in drawn.items() if kind != "none")
    false_alarms = found.pop("none")
    print(json.dumps({"figure": "swap_specificity", "value": round(1 - false_alarms / sound, 4), "unit": "1"}))
    print(json.dumps({"figure": "swap_sensitivity", "value": round(sum(found.values()) / swapped, 4), "unit": "1"}))


if __name__ == "__main__":
    main()
