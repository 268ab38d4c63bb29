"""How long Dagster's runs and their logs are kept: the UI stays quick, and every partition keeps its last run.

What belongs here: runs and events. Ticks are deleted by Dagster itself (`retention` in dagster.yaml), snapshots by the publication.
"""

from datetime import UTC, datetime, timedelta

import dagster as dg

KEPT_DAYS = 180
KEPT_RUNS = 1000
AT_ONCE = 100


def delete_old_runs(instance: dg.DagsterInstance) -> int:
    """Delete ended runs that are both old and beyond the newest thousand, the oldest first, a hundred at once; returns how many.

    The newest run of each job and partition stays: its events say what was materialised.
    """
    records = instance.get_run_records(dg.RunsFilter())
    seen, old = set(), []
    limit = datetime.now(UTC) - timedelta(days=KEPT_DAYS)
    for number, record in enumerate(records):
        run = record.dagster_run
        thing = (run.job_name, run.tags.get("dagster/partition"))
        if thing in seen and number >= KEPT_RUNS and run.is_finished and record.create_timestamp < limit:
            old.append(run.run_id)
        seen.add(thing)
    for run_id in old[-AT_ONCE:]:
        instance.delete_run(run_id)
    return len(old[-AT_ONCE:])
