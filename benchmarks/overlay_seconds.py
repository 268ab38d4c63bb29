"""Drawing the overlay figure of a case of NAKO size: seconds and bytes. ``python -m benchmarks.overlay_seconds``."""

import json
import time
from statistics import median

import numpy as np

from models.imaging.phantom import NAKO_GRID, Acquisition, draw_person, render
from models.measurement.morphometry import measure
from models.measurement.overlay import draw_overlay

ROUNDS = 5


def main() -> None:
    """Print size and time."""
    phantom = render(draw_person(np.random.default_rng(1), "1"), 1, NAKO_GRID, Acquisition(noise=0.08))
    labels, water = (np.asfortranarray(volume) for volume in (phantom.labels, phantom.dixon.volumes["water"]))
    profile = measure(labels, phantom.dixon.affine).profile
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        figure = draw_overlay(
            labels, water, phantom.dixon.affine, profile, ["WARN  An example 3 (limit 2)"], "synthetic"
        )
        times.append(time.perf_counter() - began)
    print(json.dumps({"figure": "overlay_kb", "value": round(len(figure.webp) / 1000), "unit": "kB"}))
    print(json.dumps({"figure": "overlay_seconds", "value": round(median(times), 3), "unit": "s"}))


if __name__ == "__main__":
    main()
