"""Intake of a NAKO-size participant beside dcm2niix, both on one core, and two workers beside one.

Measured: delivery zip -> four hashed NIfTI files by a warm worker, against ``dcm2niix -z i`` on the unpacked files, one
folder for each contrast, in turns; the volumes are compared voxel by voxel. Peak memory is the worker's largest
resident set. Run on an idle machine: ``python -m benchmarks.intake_vs_dcm2niix``.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from zipfile import ZipFile

import nibabel as nib
import numpy as np
from pydicom import dcmread

from dagster_project.engine import ALLOCATOR, inherited
from models.imaging.delivery import write_composed_zip
from models.imaging.dixon import CONTRASTS
from models.imaging.intake import plan_intake, read_case
from models.imaging.layout import Case
from models.imaging.nifti import read_volume, write_contrasts
from models.imaging.phantom import NAKO_GRID, REDUCED_GRID, Grid, draw_person, render

ROUNDS = 5
CASES_PER_WORKER = 3


def convert(case: Case, out: Path) -> tuple[float, float]:
    """Intake of one case; returns CPU seconds and the peak resident memory of this process so far, MB (10^6 bytes).

    The peak is from /proc: getrusage would count what the parent held before this process was started.
    """
    began = time.process_time()
    delivery = read_case(case)
    write_contrasts(out, delivery.dixon, {contrast: {} for contrast in CONTRASTS})
    status = Path("/proc/self/status").read_text()
    return time.process_time() - began, int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024 / 1e6


def start_workers(cores: Iterable[int]) -> list[ProcessPoolExecutor]:
    """One pool of one started process for each core, with intake's allocator settings."""
    workers = [
        ProcessPoolExecutor(1, get_context("spawn"), initializer=os.sched_setaffinity, initargs=(0, {core}))
        for core in cores
    ]
    with inherited(ALLOCATOR):
        for worker in workers:
            worker.submit(os.getpid).result()
    return workers


def write_participant(folder: Path, grid: Grid, seed: int) -> Case:
    """A rendered participant as a composed zip."""
    dixon = render(draw_person(np.random.default_rng(seed), "123456"), seed, grid).dixon
    folder.mkdir()
    write_composed_zip(folder / "123456.zip", dixon, "123456", rng=np.random.default_rng(seed))
    return plan_intake(folder).cases[0]


def unpack(case: Case, folder: Path) -> list[Path]:
    """The files of a composed zip in one folder for each contrast."""
    with ZipFile(case.path) as archive:
        for name in archive.namelist():
            path = Path(archive.extract(name, folder))
            header = dcmread(path, stop_before_pixels=True)
            mark = header.get_item(0x00511019) and header[0x00511019].value
            contrast = {"DIXF": "fat", "DIXW": "water"}.get(mark, "in" if header.EchoTime > 2 else "opp")
            (folder / contrast).mkdir(exist_ok=True)
            path.rename(folder / contrast / name)
    return [folder / contrast for contrast in CONTRASTS]


def run_dcm2niix(folders: list[Path], out: Path) -> None:
    """Convert each folder on the core to which this process is pinned."""
    beside = Path(sys.executable).parent / "dcm2niix"
    program = str(beside) if beside.exists() else shutil.which("dcm2niix")
    for folder in folders:
        command = [program, "-z", "i", "-w", "1", "-f", folder.name, "-o", out, folder]
        subprocess.run(command, check=True, capture_output=True)


def seconds(function, *arguments) -> float:
    """Wall time of one call."""
    began = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - began


def check_equal(ours: Path, theirs: Path) -> None:
    """Compare all four volumes voxel by voxel."""
    for contrast in CONTRASTS:
        voxels, affine = read_volume(ours / f"{contrast}.nii.gz")
        image = nib.as_closest_canonical(nib.load(theirs / f"{contrast}.nii.gz"))
        if not np.array_equal(voxels, np.asanyarray(image.dataobj)) or not np.allclose(affine, image.affine, atol=1e-3):
            raise SystemExit(f"The two converters disagree: {contrast}.")


def compare(case: Case, warm_up: Case, scratch: Path, core: int) -> tuple[float, float, float]:
    """Median seconds of both converters in turns, and the worker's peak memory in MB."""
    folders, ours, theirs = unpack(case, scratch / "unpacked"), scratch / "ours", scratch / "theirs"
    ours.mkdir(), theirs.mkdir()
    (worker,) = start_workers([core])
    os.sched_setaffinity(0, {core})
    worker.submit(convert, warm_up, ours).result()
    times = [
        (seconds(lambda: worker.submit(convert, case, ours).result()), seconds(run_dcm2niix, folders, theirs))
        for _ in range(ROUNDS)
    ]
    cpu_s, peak_mb = worker.submit(convert, case, ours).result()
    worker.shutdown()
    before = os.times()
    run_dcm2niix(folders, theirs)
    after = os.times()
    theirs_cpu_s = sum(after[2:4]) - sum(before[2:4])
    check_equal(ours, theirs)
    print("wall seconds (ours, dcm2niix):", [tuple(round(t, 2) for t in pair) for pair in times])
    print(f"CPU seconds (ours, dcm2niix): {cpu_s:.2f}, {theirs_cpu_s:.2f}; less than wall: others are at work")
    return median(t[0] for t in times), median(t[1] for t in times), peak_mb


def throughput(case: Case, warm_up: Case, scratch: Path, cores: list[int]) -> float:
    """Cases per second with one warm worker on each core."""
    workers = start_workers(cores)
    folders = [scratch / f"out-{len(cores)}-{core}" for core in cores]
    for folder in folders:
        folder.mkdir(exist_ok=True)
    for worker, folder in zip(workers, folders, strict=True):
        worker.submit(convert, warm_up, folder).result()
    began = time.perf_counter()
    pending = [
        worker.submit(convert, case, folder)
        for worker, folder in zip(workers, folders, strict=True)
        for _ in range(CASES_PER_WORKER)
    ]
    for future in pending:
        future.result()
    elapsed = time.perf_counter() - began
    for worker in workers:
        worker.shutdown()
    return len(pending) / elapsed


def main() -> None:
    """Print the three figures."""
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        case = write_participant(scratch / "nako", NAKO_GRID, 1)
        warm_up = write_participant(scratch / "small", REDUCED_GRID, 2)
        ours_s, theirs_s, peak_mb = compare(case, warm_up, scratch, cores[0])
        os.sched_setaffinity(0, cores)
        if len(cores) > 1:
            one, two = (throughput(case, warm_up, scratch, cores[:n]) for n in (1, 2))
            print(json.dumps({"figure": "intake_two_worker_speedup", "value": round(two / one, 2), "unit": "1"}))
        print(json.dumps({"figure": "intake_peak_mb", "value": round(peak_mb), "unit": "MB"}))
        result = {"figure": "intake_vs_dcm2niix", "value": round(ours_s, 3), "unit": "s", "peer": "dcm2niix -z i"}
        print(json.dumps({**result, "peer_value": round(theirs_s, 3), "ratio": round(ours_s / theirs_s, 3)}))


if __name__ == "__main__":
    main()
