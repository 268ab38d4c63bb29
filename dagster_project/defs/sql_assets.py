"""One asset for every table of sql/ that a SELECT fills, and one asset check for every file of sql/checks/."""

import dagster as dg

from dagster_project.asset_specs import describe_table
from dagster_project.catalog import Table, compile_catalog
from dagster_project.checks import Check, list_checks
from dagster_project.lineage import describe_lineage
from dagster_project.warehouse import Warehouse, count_rows, transaction

# A registry that reads no table is written anew with every release.
REGISTRY_DEPS = [["raw", "release"]]


def build_asset(table: Table) -> dg.AssetsDefinition:
    """The asset that empties and refills a table (its comments stay)."""

    @dg.asset(
        **describe_table(table.full_name),
        group_name=table.schema,
        deps=[upstream.split(".") for upstream in sorted(table.upstream)] or REGISTRY_DEPS,
    )
    def fill(warehouse: Warehouse) -> dg.MaterializeResult:
        with warehouse.connect() as connection:
            with transaction(connection):
                connection.execute(f"TRUNCATE {table.full_name}")
                connection.execute(f"INSERT INTO {table.full_name} BY NAME {table.query}")
            n_rows = count_rows(connection, table.full_name)
        return dg.MaterializeResult(
            metadata={"dagster/row_count": n_rows, "dagster/column_lineage": describe_lineage(table.full_name)}
        )

    return fill


def build_check(check: Check) -> dg.AssetChecksDefinition:
    """The asset check of a file: no violating row."""

    @dg.asset_check(
        asset=dg.AssetKey([check.schema, check.table]), name=check.name, description=check.description, blocking=True
    )
    def find_violations(warehouse: Warehouse) -> dg.AssetCheckResult:
        with warehouse.connect() as connection:
            n_violations = check.count_violations(connection)
        return dg.AssetCheckResult(passed=n_violations == 0, metadata={"violations": n_violations})

    return find_violations


@dg.definitions
def sql_tables() -> dg.Definitions:
    """All derived tables and all checks."""
    derived = [table for table in compile_catalog().tables.values() if table.query]
    return dg.Definitions(
        assets=[build_asset(table) for table in derived],
        asset_checks=[build_check(check) for check in list_checks()],
    )
