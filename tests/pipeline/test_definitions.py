"""What the Dagster UI shows: every asset described, with columns and units, and the jobs people run."""

import pytest

from dagster_project.catalog import compile_catalog
from dagster_project.definitions import defs

DEFINITIONS = defs()
SPECS = {spec.key.to_user_string(): spec for spec in DEFINITIONS.resolve_all_asset_specs()}


@pytest.mark.parametrize("key", sorted(SPECS))
def test_asset_is_described_down_to_its_columns_units(key):
    spec = SPECS[key]
    assert spec.description and spec.group_name and spec.kinds
    if key == "snapshot" or spec.group_name == "training":
        return
    table = compile_catalog().tables[key.replace("/", ".")]
    columns = spec.metadata["dagster/column_schema"].columns
    assert [column.name for column in columns] == [column.name for column in table.columns]
    assert all(column.description for column in columns)
    assert {c.name: c.tags.get("unit") for c in columns} == {c.name: c.unit for c in table.columns}


def test_only_images_and_doors_are_partitioned_by_release():
    partitioned = {key.split("/")[0] for key, spec in SPECS.items() if spec.partitions_def}
    assert partitioned == {"raw", "imaging", "training"}
    assert SPECS["training/fold"].partitions_def.get_partition_keys() == list("01234")


def test_jobs_cover_every_asset_but_the_training_once():
    selected = [
        set(DEFINITIONS.resolve_job_def(name).asset_layer.selected_asset_keys)
        for name in ("release_update", "cohort_update")
    ]
    updated = {spec.key for spec in SPECS.values() if spec.group_name != "training"}
    assert set.union(*selected) == updated and not set.intersection(*selected)


def test_every_check_blocks_what_follows_except_the_one_on_demand():
    checks = [check for checks in DEFINITIONS.asset_checks or [] for check in checks.check_specs]
    assert {check.name for check in checks if not check.blocking} == {"intact"}
