"""The slowest query of the public pages on the snapshot of MYONORM_HOME, without caches (asked: 50 ms each)."""

import json
import time
from statistics import median

from streamlit.testing.v1 import AppTest

from dashboard import snapshot
from tests.dashboard.browser import REPOSITORY

ROUNDS = 5
PARTS = {
    "percentile": ("curves", ("age", "age_bmi", "bmi")),
    "population": ("part", ("bands", "map", "characteristics", "correlation", "regression")),
    "distribution": ("lines", ("age", "bmi")),
    "segmentation": ("part", ("scores", "agreement", "training", "models")),
    "flow": ("part", ("diagram", "exclusions", "checks")),
    "data": ("part", ("dictionary", "methods", "releases", "downloads")),
}


def collect() -> list[tuple[str, dict[str, object]]]:
    """Return every query that the pages ask, with its parameters, by opening them all."""
    asked = []
    ask, compute = snapshot.query, snapshot.compute
    snapshot.query = lambda sql, params=None, research=False: asked.append((sql, params or {})) or ask(sql, params)
    snapshot.compute = lambda sql, params=None, people=None: (
        asked.append((sql, params or {})) or compute(sql, params, people)
    )
    app = AppTest.from_file(str(REPOSITORY / "dashboard" / "app.py"), default_timeout=60).run()
    app.number_input(key="value of csa_psoas_total_cm2").set_value(22.5)
    for page, (key, options) in PARTS.items():
        app.switch_page(f"views/{page}.py").run()
        for option in options:
            app.segmented_control(key=f"{key} en").set_value(option).run()
    return asked


def main() -> None:
    """Print the slowest."""
    times = {}
    asked = collect()
    connection = snapshot._connection(str(snapshot.newest() / snapshot.FILE))
    for sql, params in asked:
        taken = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            connection.cursor().execute(sql, params).df()
            taken.append(1000 * (time.perf_counter() - began))
        times[" ".join(sql.split())[:90]] = median(taken)
    for sql, taken in sorted(times.items(), key=lambda pair: -pair[1])[:5]:
        print(f"{taken:6.1f} ms  {sql}")
    print(json.dumps({"figure": "dashboard_query_ms", "value": round(max(times.values()), 1), "unit": "ms"}))


if __name__ == "__main__":
    main()
