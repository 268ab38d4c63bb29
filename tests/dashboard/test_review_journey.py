"""The review page in a real browser, by keyboard alone, and the time from a key to the next case."""

import hashlib
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.dashboard.review_home import REPOSITORY, read_lines, write_home

CHROMIUM = shutil.which("chromium")
LIMIT_MS = 300
LOOK_S = 0.4  # longer than the page's own least look, within which a key counts as pressed twice
# Milliseconds from each key to the frame in which another case's picture is decoded and painted, measured in the page itself.
STOPWATCH = """
() => {
  const reader = [...document.querySelectorAll('*')].map((e) => e.shadowRoot?.querySelector('.reader')).find(Boolean);
  window.reader = reader; window.waits = [];
  document.addEventListener('keydown', (event) => {
    const [before, started] = [reader.dataset.case, event.timeStamp];
    const look = async () => {
      const picture = reader.querySelector('.figure img');
      if (reader.dataset.case === before || !picture) return performance.now() - started < 5000 && requestAnimationFrame(look);
      await picture.decode();
      requestAnimationFrame(() => requestAnimationFrame(() => window.waits.push(performance.now() - started)));
    };
    if (event.key === 'Enter' && !(event.composedPath()[0] instanceof HTMLTextAreaElement)) requestAnimationFrame(look);
  }, true);
}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation whose cases wait for a reader."""
    home = tmp_path_factory.mktemp("review")
    write_home(home)
    return home


@pytest.fixture(scope="module")
def address(home: Path) -> Iterator[str]:
    """Where the dashboard answers."""
    with serve(home) as url:
        yield url


@contextmanager
def serve(home: Path) -> Iterator[str]:
    """The dashboard in research mode, on a port of its own; ended afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "MYONORM_HOME": str(home), "MYONORM_RESEARCH": "1", "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "streamlit", "run", "dashboard/app.py", "--server.port", str(port)]
    with subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.DEVNULL) as server:
        url = f"http://127.0.0.1:{port}"
        try:
            wait_until(lambda: urllib.request.urlopen(f"{url}/_stcore/health", timeout=1).status == 200)
            yield url
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def browser():
    """Debian's Chromium."""
    if not CHROMIUM:
        pytest.skip("Chromium is absent: install the package `chromium` to test the review page in a browser.")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


def wait_until(is_so, seconds: float = 15.0) -> None:
    """Wait until a condition holds; an error counts as no."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if is_so():
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise AssertionError("It did not come to that.")


def open_page(browser, address: str, query: str):
    """A page that shows a case."""
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto(f"{address}/review?{query}")
    page.wait_for_selector(".reader .figure img", timeout=20_000)
    return page


def shown(page) -> str:
    """Title of the case on the screen."""
    return page.locator(".reader .case b").inner_text()


def test_a_reader_works_through_cases_by_keyboard_alone(browser, address, home):
    """Accept, reject one muscle and a whole case, unsure, comment, undo, reload; what is on disk is what was said."""
    page = open_page(browser, address, "reader=r1")
    assert shown(page) == "700000, visit 30" and "FAIL" in page.locator(".checks").inner_text()
    time.sleep(LOOK_S)
    page.keyboard.press("Enter")
    assert shown(page) == "700001, visit 30"
    time.sleep(LOOK_S)
    for key in ("2", "r", "2", "Enter"):
        page.keyboard.press(key)
    assert shown(page) == "700002, visit 30"
    time.sleep(LOOK_S)
    page.keyboard.press("c")
    page.keyboard.type("rauz 1 u Enter?")
    assert shown(page) == "700002, visit 30" and page.locator(".reader textarea").input_value() == "rauz 1 u Enter?"
    page.keyboard.press("Escape")
    for key in ("r", "3"):
        page.keyboard.press(key)
    page.wait_for_function("() => true")
    wait_until(lambda: len(read_lines(home, "r1")) == 3)
    first, second, third = read_lines(home, "r1")
    assert [v["verdict"] for v in first["verdicts"]] == ["accept"] * 4 and first["sampling_probability"] == 1
    assert [(v["side"], v["compartment"], v["reason"]) for v in second["verdicts"] if v["verdict"] == "reject"] == [
        ("right", "psoas", "junction")
    ]
    assert third["verdicts"] == [{"compartment": None, "side": None, "verdict": "reject", "reason": "swap"}]
    assert third["comment"] == "rauz 1 u Enter?" and 0 < third["seconds"] < 20
    page.reload()
    page.wait_for_selector(".reader .figure img")
    assert shown(page) != "700002, visit 30" and "3 read" in page.locator(".status").inner_text()
    page.keyboard.press("z")
    wait_until(lambda: shown(page) == "700002, visit 30")
    time.sleep(LOOK_S)
    page.keyboard.press("u")
    wait_until(lambda: len(read_lines(home, "r1")) == 5)
    *_, undone, again = read_lines(home, "r1")
    assert undone["undoes"] == third["reading_id"] and {v["verdict"] for v in again["verdicts"]} == {"unsure"}
    page.close()


@pytest.mark.browser
def test_the_next_case_shows_within_300_ms(browser, address, home):
    """At one key every 500 ms, faster than anyone reads, once the next pictures are there; a key pressed twice counts once; all that was said is on disk."""
    page = open_page(browser, address, "reader=r2&cases=Every+case")
    page.evaluate(STOPWATCH)
    time.sleep(2)
    for _ in range(10):
        page.keyboard.press("Enter")
        time.sleep(0.5)
    waits = page.evaluate("window.waits")
    print(f"review_next_case_ms: median {statistics.median(waits):.0f}, largest {max(waits):.0f}")
    assert len(waits) == 10 and max(waits) < LIMIT_MS
    for _ in range(3):
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")
        time.sleep(LOOK_S)
    wait_until(lambda: page.evaluate("window.reader.desk.outbox.length") == 0)
    lines = read_lines(home, "r2")
    assert len(lines) == page.evaluate("window.reader.desk.history.length") == 13
    assert len({line["participant_id"] for line in lines}) == len({line["reading_id"] for line in lines}) == 13
    page.close()


def test_a_second_reading_shows_neither_checks_nor_the_first_verdict(browser, address, home):
    """By the link to one case that r1 has read."""
    line = read_lines(home, "r1")[0]
    key = hashlib.sha256(f"synthetic/{line['participant_id']}/30/v1".encode()).hexdigest()[:12]
    page = open_page(browser, address, f"reader=r3&case={key}")
    assert shown(page).startswith(line["participant_id"])
    text = page.locator(".reader").inner_text()
    time.sleep(LOOK_S)
    assert "Hidden" in text and "second" not in text and "FAIL" not in text and "r1" not in text
    page.keyboard.press("Enter")
    wait_until(lambda: len(read_lines(home, "r3")) == 1)
    assert (read_lines(home, "r3")[0]["reading"], read_lines(home, "r3")[0]["is_blinded"]) == ("second", True)
    page.close()
