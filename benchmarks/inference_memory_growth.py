"""Memory of one worker over fifty cases: its peak after the last one beside that after the fifth.

Phantoms of three sizes in turn, each segmented many times, by the shipped model on the CPU. Prints `inference_memory_growth` last.
"""

import json
import resource
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.inference_vs_nnunet_total import draw_phantom, store_case
from dagster_project import case_work
from dagster_project.case_work import ImageCase
from dagster_project.engine import LocalEngine
from dagster_project.settings import Settings
from models.imaging.phantom import REDUCED_GRID, Grid

N_CASES, N_FIRST = 50, 5
FIRST_SEED = 71_200
GRIDS = (REDUCED_GRID, Grid((106, 86, 140), (4.21875, 4.21875, 6.0)), Grid((100, 90, 150), (4.5, 4.0, 6.2)))


def segment_and_weigh(case: ImageCase) -> tuple[float, float]:
    """Resident memory of the process after a case, and its peak so far, in MB."""
    case_work.segment(case)
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20
    return resident, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print the figure."""
    model = Settings().model
    with tempfile.TemporaryDirectory() as folder:
        stored = [
            replace(store_case(Path(folder), str(i), draw_phantom(FIRST_SEED + i, grid), model), precision="bfloat16")
            for i, grid in enumerate(GRIDS)
        ]
        cases = [stored[i % len(stored)] for i in range(N_CASES)]
        outcomes = list(LocalEngine(1).run(segment_and_weigh, cases, 600))
    failed = [outcome.message for outcome in outcomes if outcome.code]
    if failed:
        raise SystemExit(failed[0])
    resident, peak = zip(*(outcome.result for outcome in outcomes), strict=True)
    print(f"MB after each case: {[round(value) for value in resident]}")
    first, last = peak[N_FIRST - 1], peak[-1]
    result = {"figure": "inference_memory_growth", "value": round(100 * (last / first - 1), 2), "unit": "%"}
    print(json.dumps(result | {"first_mb": round(first), "last_mb": round(last), "cases": N_CASES}))


if __name__ == "__main__":
    main()
