"""Which upstream columns each column of a derived table comes from, as DuckDB's own optimiser sees it.

For each column the optimiser is asked what it would read to compute that column alone. What it reads for no column at all
(keys of joins, filters) is left out, unless the column comes from nothing else.
"""

import json
import re
from collections.abc import Iterator
from functools import lru_cache

import dagster as dg
import duckdb

from dagster_project.catalog import compile_catalog
from dagster_project.warehouse import declare_schema

Source = tuple[str, str]
# They would drop tables that are empty, as all are here.
DISABLED = "statistics_propagation,empty_result_pullup,late_materialization"


@lru_cache
def trace_columns(full_name: str) -> dict[str, frozenset[Source]]:
    """Sources (schema.table, column) of every column of a table that a SELECT fills."""
    table = compile_catalog().tables[full_name]
    query = (table.query or "").rstrip().rstrip(";")
    connection = _empty_warehouse()
    filled = {name for name, *_ in connection.execute(f"DESCRIBE {query}").fetchall()}
    always = _read(connection, f"SELECT count(*) FROM ({query})")
    return {
        column.name: _sources(column.name, _read(connection, f"SELECT {column.name} FROM ({query})"), always)
        for column in table.columns
        if column.name in filled
    }


@lru_cache
def _empty_warehouse() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    declare_schema(connection)
    connection.execute(f"SET disabled_optimizers = '{DISABLED}'")
    return connection


def describe_lineage(full_name: str) -> dg.TableColumnLineage:
    """The same for Dagster's column lineage."""
    return dg.TableColumnLineage(
        {
            column: [
                dg.TableColumnDep(asset_key=dg.AssetKey(table.split(".")), column_name=name)
                for table, name in sorted(sources)
            ]
            for column, sources in trace_columns(full_name).items()
            if sources
        }
    )


def _sources(column: str, read: frozenset[Source], always: frozenset[Source]) -> frozenset[Source]:
    own = read - always
    return own or frozenset(source for source in read if source[1] == column) or read


def _read(connection: duckdb.DuckDBPyConnection, query: str) -> frozenset[Source]:
    ((_, plan),) = connection.execute(f"EXPLAIN (FORMAT json) {query}").fetchall()
    return frozenset(_scanned(json.loads(plan)))


def _scanned(node: object) -> Iterator[Source]:
    if isinstance(node, list):
        for child in node:
            yield from _scanned(child)
        return
    details = node["extra_info"]
    if "Table" in details:
        name = re.sub('"', "", details["Table"]).split(".", 1)[1]
        columns = details.get("Projections", [])
        for column in [columns] if isinstance(columns, str) else columns:
            yield name, column.strip('"')
    yield from _scanned(node["children"])
