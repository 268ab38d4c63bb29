"""A served dashboard and Debian's Chromium, for the browser tests, the screenshots and the benchmarks."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, Playwright

REPOSITORY = Path(__file__).resolve().parents[2]
CHROMIUM = "/usr/bin/chromium"
START_SECONDS = 30


class Served(str):
    """The address of a served dashboard, and the process that serves it."""

    pid: int


@contextmanager
def serve(environment: dict[str, str] | None = None, *options: str) -> Iterator[Served]:
    """Serve the dashboard on a free port of this machine; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "dashboard/app.py", "--server.port", str(port), *options]
    server = subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env=os.environ | {"MYONORM_RESEARCH": "", "PYTHONPATH": str(REPOSITORY)} | (environment or {}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = Served(f"http://127.0.0.1:{port}{_path(options)}")
        url.pid = server.pid
        _wait(f"{url}/_stcore/health")
        yield url
    finally:
        server.terminate()
        server.wait(timeout=10)


@contextmanager
def launch(playwright: Playwright) -> Iterator[Browser]:
    """Launch Chromium without a window."""
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
    try:
        yield browser
    finally:
        browser.close()


def open_page(browser: Browser, **options: object) -> Page:
    """Return a page in a context of its own."""
    return browser.new_context(locale="en-GB", **options).new_page()


def settle(page: Page) -> None:
    """Wait until the script has run and all is drawn."""
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    page.wait_for_selector("[data-testid=stMain] [data-testid=stElementContainer]", state="attached")
    page.wait_for_timeout(250)
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")


def _path(options: tuple[str, ...]) -> str:
    return f"/{options[options.index('--server.baseUrlPath') + 1]}" if "--server.baseUrlPath" in options else ""


def _wait(url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=1)
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"No dashboard at {url} within {START_SECONDS} s.")
