"""From a changed input to new curves on the screen in Chromium, 95th percentile (asked: 400 ms), and memory over it (asked: flat).

On the snapshot of MYONORM_HOME. The age is stepped up and down, so that the curves against BMI change each time.
"""

import json
from pathlib import Path
from statistics import quantiles

from playwright.sync_api import Page, sync_playwright

from tests.dashboard.browser import launch, open_page, serve, settle

INTERACTIONS = 500
WARM_UP = 20
STEP = """
async (label) => {
  const line = () => document.querySelector('[data-testid=stVegaLiteChart] svg .mark-line path')?.getAttribute('d');
  const before = line();
  const button = [...document.querySelectorAll('[data-testid=stNumberInput]')]
    .find(field => field.innerText.startsWith('Age')).querySelector(`[data-testid=stNumberInputStep${label}]`);
  const began = performance.now();
  button.click();
  while (line() === before || line() === undefined) {
    await new Promise(requestAnimationFrame);
    if (performance.now() - began > 10000) throw new Error('no new curves');
  }
  return performance.now() - began;
}
"""


def memory_mb(pid: int) -> float:
    """Resident memory of a process."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def step(page: Page, i: int) -> float:
    """Milliseconds of one interaction."""
    return page.evaluate(STEP, "Up" if i % 20 < 10 else "Down")


def main() -> None:
    """Print the distribution and the memory of the server before and after."""
    with serve() as server, sync_playwright() as playwright, launch(playwright) as browser:
        page = open_page(browser)
        page.goto(f"{server}/?curves=bmi")
        settle(page)
        for i in range(WARM_UP):
            step(page, i)
        before = memory_mb(server.pid)
        times = [step(page, i) for i in range(INTERACTIONS)]
        after = memory_mb(server.pid)
    p95 = quantiles(times, n=20)[-1]
    print(
        f"median {quantiles(times, n=2)[0]:.0f} ms, largest {max(times):.0f} ms, server {before:.0f} -> {after:.0f} MB"
    )
    growth = {"figure": "dashboard_memory_growth_mb", "value": round(after - before, 1), "unit": "MB"}
    print(json.dumps(growth))
    print(json.dumps({"figure": "dashboard_input_p95_ms", "value": round(p95), "unit": "ms"}))


if __name__ == "__main__":
    main()
