"""Size of the participant-level file for 27,805 participants and 10 million profile rows (asked: 300 MB)."""

from benchmarks.full_cohort import fill_everything, open_full_cohort, report
from dagster_project.publication import publish
from dagster_project.settings import Settings


def main() -> None:
    """Publish and look at the file."""
    with open_full_cohort() as (connection, home):
        fill_everything(connection)
        folder = publish(connection, Settings(home=home), "20260101T000000Z")
        report("research_file_mb", (folder / "research.duckdb").stat().st_size / 1e6, "MB")


if __name__ == "__main__":
    main()
