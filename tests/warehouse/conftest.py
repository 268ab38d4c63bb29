"""An empty warehouse in memory, and filling its derived tables in order."""

from collections.abc import Iterator

import duckdb
import pytest

from dagster_project.catalog import compile_catalog
from dagster_project.warehouse import declare_schema


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse whose tables exist and are empty, except the registries that SQL fills."""
    with duckdb.connect() as opened:
        opened.execute("SET VARIABLE code_version = 'test'")
        declare_schema(opened)
        refill(opened, "ref.band", "ref.regression_model")
        yield opened


def refill(connection: duckdb.DuckDBPyConnection, *tables: str) -> None:
    """Fill derived tables by their own SELECT."""
    for table in tables:
        connection.execute(f"TRUNCATE {table}")
        connection.execute(f"INSERT INTO {table} BY NAME {compile_catalog().tables[table].query}")
