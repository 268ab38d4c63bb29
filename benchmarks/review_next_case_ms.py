"""Milliseconds from a key on the review page to the next case, decoded and painted, in Debian's Chromium.

One key every 1.5 s, faster than the 3.6 s of 1,000 cases an hour; the page just opened needs about that long to fetch the
next pictures. ``python -m benchmarks.review_next_case_ms``.
"""

import json
import tempfile
import time
from pathlib import Path
from statistics import median

from playwright.sync_api import sync_playwright

from tests.dashboard.review_home import write_home
from tests.dashboard.test_review_journey import CHROMIUM, LIMIT_MS, STOPWATCH, open_page, serve

N_KEYS = 30


def main() -> None:
    """Print the median and the largest time."""
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        write_home(Path(name))
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        with serve(Path(name)) as address:
            page = open_page(browser, address, "reader=r1&cases=Every+case")
            page.evaluate(STOPWATCH)
            for _ in range(N_KEYS):
                time.sleep(1.5)
                page.keyboard.press("Enter")
            time.sleep(1.5)
            waits = page.evaluate("window.waits")
        browser.close()
    result = {"figure": "review_next_case_ms", "value": round(max(waits)), "unit": "ms", "median": round(median(waits))}
    print(json.dumps({**result, "n": len(waits), "limit": LIMIT_MS}))


if __name__ == "__main__":
    main()
