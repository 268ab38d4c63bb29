"""How a table of the catalog becomes an asset: key, description, column schema with units, code version."""

import dagster as dg

from dagster_project.catalog import Column, compile_catalog


def describe_table(full_name: str) -> dict:
    """Key, description, metadata and code version of a table's asset, for `AssetSpec` and `AssetOut` alike."""
    table = compile_catalog().tables[full_name]
    schema = dg.TableSchema(columns=[_describe_column(column) for column in table.columns])
    return {
        "key": dg.AssetKey([table.schema, table.name]),
        "description": table.comment,
        "metadata": {"dagster/column_schema": schema, "dagster/table_name": full_name},
        "code_version": table.code_version,
        "kinds": {"duckdb", "sql" if table.query else "python"},
    }


def _describe_column(column: Column) -> dg.TableColumn:
    details = " ".join(filter(None, [f"{column.label}.", column.details]))
    tags = {"unit": column.unit} if column.unit else {}
    return dg.TableColumn(column.name, column.data_type, description=details, tags=tags)
