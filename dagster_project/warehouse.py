"""The warehouse file: opened for writing by one process at a time, under one lock.

What belongs here: the connection and the schema. What is written belongs to the assets, publication to `defs/publication.py`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import duckdb
from filelock import FileLock

from dagster_project.catalog import SCHEMAS, compile_catalog
from dagster_project.settings import load_settings


class Warehouse(dg.ConfigurableResource):
    """The pipeline's DuckDB file. `connect` waits for the lock, so assets of two runs take turns."""

    @contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection for writing to a warehouse whose tables, views and macros all exist; closed even after an error."""
        settings = load_settings()
        settings.home.mkdir(parents=True, exist_ok=True)
        with FileLock(settings.home / "warehouse.lock"):
            connection = duckdb.connect(str(settings.warehouse_file))
            try:
                declare_schema(connection)
                yield connection
            finally:
                connection.close()


def declare_schema(connection: duckdb.DuckDBPyConnection, schemas: tuple[str, ...] = SCHEMAS) -> None:
    """Create what is missing of the tables of `schemas` and the formulas for readers; for all schemas also views and macros."""
    catalog = compile_catalog()
    for schema in schemas:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    for table in catalog.tables.values():
        if table.schema in schemas:
            connection.execute(table.declaration)
    connection.execute(catalog.formulas)
    if schemas == SCHEMAS:
        connection.execute(catalog.views)
        connection.execute(catalog.macros)


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Commit what happens inside, or roll it back when it raises."""
    connection.execute("BEGIN")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def insert(connection: duckdb.DuckDBPyConnection, table: str, frame) -> None:
    """Append a DataFrame to a table by column name; columns that the frame lacks become NULL."""
    if len(frame):
        connection.register("incoming", frame)
        connection.execute(f"INSERT INTO {table} BY NAME FROM incoming")
        connection.unregister("incoming")


def count_rows(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    """Number of rows of a table."""
    return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
