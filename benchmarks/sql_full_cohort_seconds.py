"""All tables of ref, raw, marts and stats from scratch for 27,805 participants and 10 million profile rows (asked: 60 s)."""

from benchmarks.full_cohort import fill_everything, open_full_cohort, report


def main() -> None:
    """Load, fill once, report."""
    with open_full_cohort() as (connection, _):
        seconds = fill_everything(connection)
    for name, value in sorted(seconds.items(), key=lambda item: -item[1])[:8]:
        print(f"{value:7.2f} s  {name}")
    report("sql_full_cohort_seconds", sum(seconds.values()), "s")


if __name__ == "__main__":
    main()
