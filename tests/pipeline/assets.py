"""Single assets on a MYONORM_HOME of its own, in this process: what the whole jobs would make slow."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import duckdb

from dagster_project.defs.ingest import intake
from dagster_project.defs.releases import releases
from dagster_project.defs.segmentation import segmentation
from dagster_project.defs.validation import validation
from dagster_project.settings import load_settings
from dagster_project.warehouse import Warehouse
from models.imaging.phantom import Grid

COARSE = Grid((53, 43, 79), (8.4375, 8.4375, 12.0))


class Assets:
    """A warehouse and a Dagster instance under `home`."""

    def __init__(self, home: Path):
        self.home = home
        (home / "dagster").mkdir(parents=True)
        (home / "releases").mkdir()
        self.instance = dg.DagsterInstance.local_temp(str(home / "dagster"))

    def run(self, *assets, partition_key: str | None = None) -> dg.ExecuteInProcessResult:
        """Materialize assets."""
        return dg.materialize(
            assets, partition_key=partition_key, instance=self.instance, resources={"warehouse": Warehouse()}
        )

    def take_in(self, release: str) -> list[str]:
        """Run intake on a release; returns what it logged."""
        self.instance.add_dynamic_partitions(releases.name, [release])
        result = self.run(intake, partition_key=release)
        return [entry.user_message for entry in self.instance.all_logs(result.run_id)]

    def segment(self, release: str) -> None:
        """Segment a release with the model in force."""
        self.run(segmentation, partition_key=release)

    def validate(self, *further) -> dict:
        """Run validation and further assets; returns how much was scored, failed and outdated."""
        result = self.run(validation, *further)
        (event,) = result.asset_materializations_for_node("validation")[:1]
        return {name: event.metadata[name].value for name in ("scored", "failed", "outdated")}

    def query(self, sql: str) -> list[tuple]:
        """Rows of the warehouse."""
        with duckdb.connect(str(self.home / "warehouse.duckdb"), read_only=True) as connection:
            return connection.execute(sql).fetchall()


@contextmanager
def environment(**settings: str) -> Iterator[None]:
    """Settings MYONORM_<name> for a while."""
    before = dict(os.environ)
    os.environ.update({f"MYONORM_{name}": str(value) for name, value in settings.items()})
    load_settings.cache_clear()
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        load_settings.cache_clear()
