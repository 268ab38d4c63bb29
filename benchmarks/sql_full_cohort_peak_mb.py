"""Largest memory of the process that fills all tables for 27,805 participants (asked: 4 GB). Loading is in another process."""

import multiprocessing
import shutil
import tempfile
from pathlib import Path

import duckdb

from benchmarks.full_cohort import THREADS, fill_everything, open_full_cohort, peak_mb, report


def load(target: Path) -> None:
    """Write the warehouse to `target`."""
    with open_full_cohort() as (connection, home):
        connection.execute("CHECKPOINT")
        connection.close()
        shutil.copy(home / "cohort.duckdb", target)


def main() -> None:
    """Load in a child, fill here, report."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "cohort.duckdb"
        child = multiprocessing.get_context("spawn").Process(target=load, args=(target,))
        child.start()
        child.join()
        with duckdb.connect(str(target), config={"threads": THREADS}) as connection:
            fill_everything(connection)
    report("sql_full_cohort_peak_mb", peak_mb(), "MB")


if __name__ == "__main__":
    main()
