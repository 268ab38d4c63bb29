"""Replacing one participant's profile rows among 10 million, in one transaction (asked: 100 ms); median of 20."""

import statistics
import time

from benchmarks.full_cohort import open_full_cohort, report
from dagster_project.warehouse import replace, transaction


def main() -> None:
    """Delete and insert the rows of twenty participants, one by one."""
    milliseconds = []
    with open_full_cohort() as (connection, _):
        for number in range(1000, 21000, 1000):
            key = {"study": "synthetic", "participant_id": f"S{number:05d}", "visit": "30", "model_version": "imported"}
            rows = connection.execute("FROM imaging.csa_profile WHERE participant_id = ?", [key["participant_id"]]).df()
            started = time.perf_counter()
            with transaction(connection):
                replace(connection, "imaging.csa_profile", key, rows)
            milliseconds.append(1000 * (time.perf_counter() - started))
    report("replace_participant_ms", statistics.median(milliseconds), "ms")


if __name__ == "__main__":
    main()
