"""How a table of the catalog becomes an asset: key, description, column schema with units, code version, and when it follows."""

import dagster as dg

from dagster_project.catalog import Column, compile_catalog

# Upstream changed, and nothing upstream is still on its way: once per change, not once per release of several.
FOLLOWS = (
    dg.AutomationCondition.any_deps_updated().since_last_handled()
    & ~dg.AutomationCondition.any_deps_in_progress()
    & ~dg.AutomationCondition.in_progress()
).with_label("follows the releases")
PER_RELEASE = ("raw", "imaging")


def describe_table(full_name: str) -> dict:
    """Key, description, metadata, code version and automation of a table's asset, for `AssetSpec` and `asset` alike."""
    table = compile_catalog().tables[full_name]
    schema = dg.TableSchema(columns=[_describe_column(column) for column in table.columns])
    return {
        "key": dg.AssetKey([table.schema, table.name]),
        "description": table.comment,
        "metadata": {"dagster/column_schema": schema, "dagster/table_name": full_name},
        "code_version": table.code_version,
        "kinds": {"duckdb", "sql" if table.query else "python"},
        "automation_condition": FOLLOWS if table.query or table.schema not in PER_RELEASE else None,
    }


def _describe_column(column: Column) -> dg.TableColumn:
    details = " ".join(filter(None, [f"{column.label}.", column.details]))
    tags = {"unit": column.unit} if column.unit else {}
    return dg.TableColumn(column.name, column.data_type, description=details, tags=tags)
