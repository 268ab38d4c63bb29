"""SIGKILL at random moments from ingest to publication; a plain run afterwards ends where an uninterrupted one does."""

import os
import random
import signal
import time

import pytest

from tests.faults.homes import RELEASES, find_differences

pytestmark = pytest.mark.faults
KILLS = int(os.environ.get("MYONORM_KILLS", "15"))
BEFORE_THE_FIRST_STEP_S = 3.0


@pytest.fixture(scope="session")
def seconds(make_home) -> float:
    """Of an uninterrupted run of everything."""
    home, began = make_home(), time.monotonic()
    home.run(*RELEASES)
    return time.monotonic() - began


@pytest.mark.parametrize("number", range(KILLS))
def test_killed_run_is_gone_on_with(make_home, reference, seconds, number):
    home = make_home()
    # One moment in each of as many equal parts of the run, so that every stage has its share.
    part = (number + random.Random(number).random()) / KILLS
    process = home.start(*RELEASES)
    time.sleep(BEFORE_THE_FIRST_STEP_S + part * (seconds - BEFORE_THE_FIRST_STEP_S))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert home.run(*RELEASES).startswith(("published ", "unchanged"))
    assert find_differences(home.read_tables(), reference.read_tables()) == []
    assert home.list_files() == reference.list_files()
