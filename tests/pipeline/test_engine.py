"""Cases in processes of their own: each has one outcome, whatever happens to its process. One contract, two engines."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dagster_project.engine import LocalEngine, Outcome
from dagster_project.ray_engine import RayEngine
from models.imaging.refusal import Refusal

ROOT = Path(__file__).parents[2]


def work(case: str) -> str:
    """Do what the case says."""
    match case:
        case "refuse":
            raise Refusal("missing_slice")
        case "raise":
            raise KeyError("Jane Doe")
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            time.sleep(600)
        case "memory":
            raise MemoryError
        case "environment":
            return os.environ.get("MYONORM_TEST", "absent")
    return case.upper()


def stay(case: tuple[str, float]) -> str:
    """Leave the process id in a folder, work for a while, and answer with the id."""
    folder, seconds = case
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(seconds)
    return str(os.getpid())


@pytest.fixture(scope="module", params=["local", "ray"])
def engine(request):
    """Both engines."""
    if request.param == "local":
        return LocalEngine(2)
    request.getfixturevalue("ray_cluster")
    return RayEngine()


@pytest.fixture(scope="module")
def outcomes(engine) -> dict[str, Outcome]:
    """One outcome a case."""
    cases = ["a", "refuse", "die", "hang", "b", "raise", "memory", "c"]
    return {outcome.case: outcome for outcome in engine.run(work, cases, deadline_s=8)}


def test_good_cases_survive_their_neighbours(outcomes):
    assert len(outcomes) == 8
    assert [outcomes[case].result for case in "abc"] == ["A", "B", "C"]


@pytest.mark.parametrize(
    ("case", "code"),
    [
        ("refuse", "missing_slice"),
        ("die", "worker_died"),
        ("hang", "deadline"),
        ("raise", "error"),
        ("memory", "out_of_memory"),
    ],
)
def test_every_failure_has_its_code_and_a_sentence(outcomes, case, code):
    assert outcomes[case].code == code and outcomes[case].message.endswith(".")


def test_an_unexpected_error_names_its_place_and_never_its_text(outcomes):
    assert "test_engine.py:" in outcomes["raise"].message and "Jane" not in outcomes["raise"].message


def test_processes_see_the_environment_they_are_given(engine):
    (outcome,) = engine.run(work, ["environment"], deadline_s=60, environment={"MYONORM_TEST": "seen"})
    assert outcome.result == "seen" and "MYONORM_TEST" not in os.environ


def test_no_cases_no_outcomes(engine):
    assert list(engine.run(work, [], deadline_s=8)) == []


def test_abandoned_run_ends_its_processes(engine, tmp_path):
    run = engine.run(stay, [(str(tmp_path), 0.1), (str(tmp_path), 0.1), (str(tmp_path), 300.0)], deadline_s=600)
    next(run)
    run.close()
    assert all_gone(tmp_path)


def test_workers_die_with_their_driver(tmp_path):
    """Even where the driver has no time to say so."""
    code = (
        "from dagster_project.engine import LocalEngine\nfrom tests.pipeline.test_engine import stay\n"
        f"if __name__ == '__main__': list(LocalEngine(2).run(stay, [({str(tmp_path)!r}, 300.0)] * 2, 600))"
    )
    script = tmp_path / "driver.py"
    script.write_text(code)
    folder = {"PYTHONPATH": str(ROOT)}
    driver = subprocess.Popen([sys.executable, script], env={**os.environ, **folder}, cwd=ROOT)
    wait_for(lambda: len(process_ids(tmp_path)) == 2)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert all_gone(tmp_path)


def test_node_that_dies_in_mid_run_loses_no_case(ray_cluster, tmp_path):
    cases = [(str(tmp_path), 1.0 + i / 10) for i in range(6)]
    answered = []
    for outcome in RayEngine().run(stay, cases, deadline_s=120):
        answered.append(outcome)
        if len(answered) == 2:
            ray_cluster.remove_node(ray_cluster.second, allow_graceful=False)
    assert sorted(outcome.case for outcome in answered) == cases
    assert all(outcome.code is None for outcome in answered)


def process_ids(folder: Path) -> list[int]:
    """Processes that worked on a case."""
    return [int(path.name) for path in folder.iterdir() if path.name.isdigit()]


def all_gone(folder: Path) -> bool:
    """Whether every process that worked on a case ends within seconds."""
    return bool(process_ids(folder)) and wait_for(lambda: not any(map(is_running, process_ids(folder))))


def is_running(process_id: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition) -> bool:
    """Poll a condition for up to 60 s."""
    until = time.monotonic() + 60
    while not condition() and time.monotonic() < until:
        time.sleep(0.1)
    return condition()
