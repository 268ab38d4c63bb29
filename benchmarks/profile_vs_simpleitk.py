"""Measuring a mask of NAKO size beside SimpleITK's LabelShapeStatistics, and with fat fractions beside reading the files.

SimpleITK gives volume, centroid and extent of each label and nothing per slice; ours gives every column of
imaging.csa_profile and imaging.muscle that follows from the mask. The volumes of both must agree. Peak memory is that of a
process of its own that reads three files and measures. Run on an idle machine: ``python -m benchmarks.profile_vs_simpleitk``.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import SimpleITK as sitk

from models.imaging.nifti import read_volume, write_volume
from models.imaging.phantom import NAKO_GRID, draw_person, render
from models.measurement.morphometry import measure
from models.segmentation.anatomy import LABELS

ROUNDS = 9
NAMES = ("mask", "fat", "water")


def read(folder: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """The three files, verified."""
    return [read_volume(folder / f"{name}.nii.gz") for name in NAMES]


def measure_files(folder: Path) -> None:
    """What a worker does with a case."""
    (labels, affine), (fat, _), (water, _) = read(folder)
    measure(labels, affine, fat, water)


def seconds(function, *arguments) -> float:
    """Wall time of one call."""
    began = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - began


def in_turns(*calls) -> list[float]:
    """Median seconds of each call; each round makes all of them."""
    rounds = [[seconds(*call) for call in calls] for _ in range(ROUNDS)]
    return [median(times) for times in zip(*rounds, strict=True)]


def peak_mb(folder: Path) -> float:
    """Largest resident set of a process that reads and measures, in MB (10^6 bytes)."""
    code = (
        "import sys; from pathlib import Path; from benchmarks.profile_vs_simpleitk import measure_files;"
        "measure_files(Path(sys.argv[1])); print(Path('/proc/self/status').read_text())"
    )
    output = subprocess.run([sys.executable, "-c", code, folder], check=True, capture_output=True, text=True).stdout
    return int(re.search(r"VmHWM:\s+(\d+) kB", output)[1]) * 1024 / 1e6


def main() -> None:
    """Print the figures; the last is the comparison with SimpleITK."""
    phantom = render(draw_person(np.random.default_rng(1), "1"), 1, NAKO_GRID)
    affine = phantom.dixon.affine
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for stem, volume in zip(NAMES, (phantom.labels, *map(phantom.dixon.volumes.get, NAMES[1:])), strict=True):
            write_volume(folder / f"{stem}.nii.gz", volume, affine, {})
        labels, _ = read_volume(folder / "mask.nii.gz")
        image = sitk.GetImageFromArray(labels.T)
        image.SetSpacing(NAKO_GRID.spacing_mm)
        statistics = sitk.LabelShapeStatisticsImageFilter()
        ours, theirs, reading, both = in_turns(
            (measure, labels, affine), (statistics.Execute, image), (read, folder), (measure_files, folder)
        )
        muscles = measure(labels, affine).muscles.set_index(["compartment", "side"])
        for key, value in LABELS.items():
            if abs(muscles.loc[key, "volume_ml"] / statistics.GetPhysicalSize(value) * 1000 - 1) > 1e-5:
                raise SystemExit(f"The two disagree on the volume of {key}.")
        memory = peak_mb(folder)
    print(f"reading and verifying {reading:.3f} s; with all numbers {both:.3f} s: ratio {both / reading:.2f}")
    print(json.dumps({"figure": "profile_peak_mb", "value": round(memory), "unit": "MB"}))
    result = {"figure": "profile_vs_simpleitk", "value": round(ours, 4), "unit": "s", "peer": "LabelShapeStatistics"}
    print(json.dumps({**result, "peer_value": round(theirs, 4), "ratio": round(ours / theirs, 3)}))


if __name__ == "__main__":
    main()
