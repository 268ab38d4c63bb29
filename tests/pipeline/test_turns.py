"""While one process has the network, others read their next case and write their last; the masks do not change."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from dagster_project import case_work, turns
from dagster_project.case_work import ImageCase, StoredMask, count_turns
from dagster_project.engine import LocalEngine
from dagster_project.turns import Turn
from models.imaging.nifti import read_volume
from models.segmentation.inference import Segmenter
from tests.pipeline.stored_phantoms import mask_file, store

ROOT = Path(__file__).parents[2]
N_CASES = 4


@dataclass(frozen=True)
class TimedCase:
    """A case, where its stages' times go, and how long each stage takes at least."""

    image: ImageCase
    log: Path
    stage_s: float = 0.3


def segment_timed(timed: TimedCase) -> StoredMask:
    """Segment a case where one network runs at a time; the times of its stages are logged."""

    def log(stage: str, function: Callable) -> Callable:
        def wrapped(*arguments, **options):
            began = time.monotonic()
            result = function(*arguments, **options)
            time.sleep(timed.stage_s)
            with timed.log.open("a") as file:
                file.write(f"{timed.image.participant_id},{stage},{began},{time.monotonic()}\n")
            return result

        return wrapped

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(case_work, "count_turns", lambda *_: 1)
        patch.setattr(case_work, "read_dixon", log("read", case_work.read_dixon))
        patch.setattr(case_work, "write_volume", log("write", case_work.write_volume))
        patch.setattr(Segmenter, "_run_networks", log("network", Segmenter._run_networks))
        return case_work.segment(timed.image)


def test_reading_the_next_case_the_network_and_writing_the_last_overlap(tmp_path):
    cases = [store(tmp_path, f"case{i}", 80 + i) for i in range(N_CASES)]
    for outcome in LocalEngine(1).run(case_work.segment, cases, 300):
        assert outcome.code is None
    alone = [read_volume(mask_file(case))[0].copy() for case in cases]

    log = tmp_path / "stages.csv"
    outcomes = list(LocalEngine(2).run(segment_timed, [TimedCase(case, log) for case in cases], 300))
    times = pd.read_csv(log, names=["case", "stage", "began", "ended"]).pivot(index="case", columns="stage")
    times = times.sort_values(("began", "network"))
    following = times.shift(-1)
    assert (times["ended", "network"] <= following["began", "network"])[:-1].all(), "one network at a time"
    assert (following["began", "read"] < times["ended", "network"])[:-1].sum() >= N_CASES - 2
    assert (times["ended", "write"] > following["began", "network"])[:-1].sum() >= N_CASES - 2
    assert all(outcome.code is None and outcome.result.seconds > 0.9 for outcome in outcomes)
    assert all((read_volume(mask_file(case))[0] == mask).all() for case, mask in zip(cases, alone, strict=True))


def test_turns_are_as_many_as_cores_have_room_for_and_one_on_a_gpu():
    cores = len(os.sched_getaffinity(0))
    assert (count_turns("cpu", 1), count_turns("cpu", cores), count_turns("cuda", 1)) == (cores, 1, 1)


def test_killed_process_gives_its_turn_back_and_nobody_waits_for_ever(monkeypatch):
    code = "import time\nfrom dagster_project.turns import Turn\nwith Turn(1):\n    print('taken', flush=True)\n    time.sleep(600)"
    children = []
    for _ in range(2):
        child = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        children.append(child)
        if len(children) == 1:
            assert child.stdout.readline() == "taken\n"
    children[0].send_signal(signal.SIGKILL)
    assert children[1].stdout.readline() == "taken\n"
    monkeypatch.setattr(os, "getppid", os.getpid)
    monkeypatch.setattr(turns, "LONGEST_WAIT_S", 0.2)
    with Turn(1) as turn:
        assert turn.waited_s >= 0.2
    for child in children:
        child.kill()
        child.communicate()
