"""One case of NAKO's size (320 x 260 x 316): tiles confined to the muscles beside the full pass, and the memory it takes.

One process with one thread on the CPU, the shipped model, four phantoms, seconds from reading to the written mask; every case is
segmented both ways, one after the other. Dice is between the two masks, the lowest over cases and labels. The seconds of the processor
are printed too: they hold where other work disturbs the clock. Prints three figures, `inference_nako_size` last.
"""

import json
import resource
import tempfile
import time
from dataclasses import replace
from functools import partialmethod
from pathlib import Path

import numpy as np

from benchmarks.inference_vs_nnunet_total import draw_phantom, store_case
from dagster_project import case_work
from dagster_project.case_work import ImageCase
from dagster_project.engine import LocalEngine
from dagster_project.settings import Settings
from models.imaging.nifti import read_volume
from models.imaging.phantom import NAKO_GRID
from models.segmentation.evaluation import score_labels
from models.segmentation.inference import Segmenter

N_CASES = 4
FIRST_SEED = 71_100


def segment_both_ways(case: ImageCase) -> tuple[dict[str, tuple[float, float]], np.ndarray, float]:
    """Seconds of both passes by the clock and of the processor, Dice between them by label, the process's peak in MB so far."""
    original = Segmenter.segment
    seconds, labels = {}, {}
    for way, is_confined in {"confined": True, "full": False}.items():
        Segmenter.segment = partialmethod(original, is_confined=is_confined)
        began = time.process_time()
        mask = case_work.segment(case)
        seconds[way] = mask.seconds, time.process_time() - began
        labels[way] = read_volume(case.home / mask.mask_path)[0]
    Segmenter.segment = original
    dice = score_labels(labels["confined"], labels["full"])["dice"].to_numpy()
    return seconds, dice, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print the three figures."""
    model = Settings().model
    with tempfile.TemporaryDirectory() as folder:
        cases = [
            store_case(Path(folder), str(i), draw_phantom(FIRST_SEED + i, NAKO_GRID), model) for i in range(N_CASES)
        ]
        engine = LocalEngine(1)
        (probe,) = engine.run(case_work.probe_precision, cases[:1], 600)
        warm_up = replace(cases[0], precision=probe.result)
        outcomes = list(
            engine.run(segment_both_ways, [warm_up, *(replace(c, precision=probe.result) for c in cases)], 600)
        )
    for outcome in outcomes:
        if outcome.code:
            raise SystemExit(outcome.message)
    results = [outcome.result for outcome in outcomes[1:]]
    seconds = {way: np.array([seconds[way] for seconds, _, _ in results]) for way in ("confined", "full")}
    (confined, _), (full, _) = (seconds[way].mean(axis=0) for way in ("confined", "full"))
    dice, peak = min(dice.min() for _, dice, _ in results), results[-1][2]
    print(
        f"{probe.result}; full pass by confined pass (clock, processor): {(seconds['full'] / seconds['confined']).round(2).tolist()}"
    )
    print(f"seconds (clock, processor): { {way: values.round(2).tolist() for way, values in seconds.items()} }")
    print(json.dumps({"figure": "inference_nako_peak_mb", "value": round(peak), "unit": "MB"}))
    print(json.dumps({"figure": "inference_nako_dice", "value": round(float(dice), 4), "unit": "1"}))
    result = {"figure": "inference_nako_size", "value": round(confined, 2), "unit": "s", "peer": "full pass"}
    result |= {"peer_value": round(full, 2), "ratio": round(confined / full, 3)}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
