"""One asset for every table of sql/ that a SELECT fills, and one asset check for every file of sql/checks/."""

import dagster as dg

from dagster_project.asset_specs import describe_table
from dagster_project.catalog import SQL, Table, compile_catalog
from dagster_project.lineage import describe_lineage
from dagster_project.warehouse import Warehouse, count_rows, transaction


def build_asset(table: Table) -> dg.AssetsDefinition:
    """The asset that empties and refills a table (its comments stay)."""

    @dg.asset(
        **describe_table(table.full_name),
        group_name=table.schema,
        deps=[upstream.split(".") for upstream in sorted(table.upstream)],
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


def build_check(name: str, sql: str) -> dg.AssetChecksDefinition:
    """The asset check of `<schema>__<table>__<check>`: no violating row. The first comment line is its description."""
    schema, table, check = name.split("__")
    description, _, query = sql.removeprefix("--").partition("\n")

    @dg.asset_check(asset=dg.AssetKey([schema, table]), name=check, description=description.strip(), blocking=True)
    def find_violations(warehouse: Warehouse) -> dg.AssetCheckResult:
        with warehouse.connect() as connection:
            (n_violations,) = connection.execute(f"SELECT count(*) FROM ({query.strip().rstrip(';')})").fetchone()
        return dg.AssetCheckResult(passed=n_violations == 0, metadata={"violations": n_violations})

    return find_violations


@dg.definitions
def sql_tables() -> dg.Definitions:
    """All derived tables and all checks."""
    derived = [table for table in compile_catalog().tables.values() if table.query]
    checks = {path.stem: path.read_text(encoding="utf-8") for path in sorted((SQL / "checks").glob("*.sql"))}
    return dg.Definitions(
        assets=[build_asset(table) for table in derived],
        asset_checks=[build_check(name, sql) for name, sql in checks.items()],
    )
