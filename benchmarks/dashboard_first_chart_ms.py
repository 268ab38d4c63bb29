"""From a navigation to the first chart of the percentile page in Chromium: cold (asked: 2,500 ms), warm (800 ms).

On the snapshot of MYONORM_HOME. Cold: server just started, browser cache empty; warm: the page opened again.
"""

import json
import time
from statistics import median

from playwright.sync_api import Page, sync_playwright

from tests.dashboard.browser import launch, open_page, serve

WARM_ROUNDS = 7
CHART = "[data-testid=stVegaLiteChart] svg .mark-line path"


def time_first_chart(page: Page, url: str) -> float:
    """Milliseconds until lines are drawn."""
    began = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.wait_for_selector(CHART, state="attached")
    return 1000 * (time.perf_counter() - began)


def main() -> None:
    """Print both; the cold one is the figure."""
    with serve() as url, sync_playwright() as playwright, launch(playwright) as browser:
        page = open_page(browser)
        cold = time_first_chart(page, url)
        warm = [time_first_chart(page, url) for _ in range(WARM_ROUNDS)]
    print(f"cold {cold:.0f} ms, warm {median(warm):.0f} ms (median of {WARM_ROUNDS}, largest {max(warm):.0f} ms)")
    for figure, value in (("dashboard_first_chart_warm_ms", median(warm)), ("dashboard_first_chart_ms", cold)):
        print(json.dumps({"figure": figure, "value": round(value), "unit": "ms"}))


if __name__ == "__main__":
    main()
