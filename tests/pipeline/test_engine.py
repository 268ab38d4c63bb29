"""Cases in child processes: each has one outcome, whatever happens to its process."""

import os
import time

import pytest

from dagster_project import engine
from models.imaging.refusal import Refusal


def work(case: str) -> str:
    """Do what the case says."""
    match case:
        case "refuse":
            raise Refusal("missing_slice")
        case "raise":
            raise KeyError("Jane Doe")
        case "die":
            os.kill(os.getpid(), 9)
        case "hang":
            time.sleep(600)
        case "memory":
            raise MemoryError
    return case.upper()


@pytest.fixture(scope="module")
def outcomes() -> dict[str, engine.Outcome]:
    """One outcome a case."""
    cases = ["a", "refuse", "die", "hang", "b", "raise", "memory", "c"]
    return {outcome.case: outcome for outcome in engine.LocalEngine(2).run(work, cases, deadline_s=8)}


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
