"""Replacing one participant's profile rows among 10 million, in one transaction (asked: 100 ms); median of 20."""

import statistics
import time

from benchmarks.full_cohort import open_full_cohort, report
from dagster_project.warehouse import insert, transaction

KEY = "(study, participant_id, visit, model_version) = ('synthetic', ?, '30', 'imported')"


def main() -> None:
    """Delete and insert the rows of twenty participants, one by one."""
    milliseconds = []
    with open_full_cohort() as (connection, _):
        for number in range(1000, 21000, 1000):
            participant_id = f"S{number:05d}"
            rows = connection.execute(f"FROM imaging.csa_profile WHERE {KEY}", [participant_id]).df()
            started = time.perf_counter()
            with transaction(connection):
                connection.execute(f"DELETE FROM imaging.csa_profile WHERE {KEY}", [participant_id])
                insert(connection, "imaging.csa_profile", rows)
            milliseconds.append(1000 * (time.perf_counter() - started))
    report("replace_participant_ms", statistics.median(milliseconds), "ms")


if __name__ == "__main__":
    main()
