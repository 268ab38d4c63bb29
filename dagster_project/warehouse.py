"""The warehouse file: opened for writing by one process at a time, under one lock.

What belongs here: the connection and the schema. What is written belongs to the assets, publication to `defs/publication.py`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import duckdb
from filelock import FileLock

from dagster_project.catalog import SCHEMAS, compile_catalog, describe_comment
from dagster_project.code_version import hash_code
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
                connection.execute("SET VARIABLE code_version = $hash", {"hash": hash_code()})
                if _declared_version(connection) != hash_code():
                    with transaction(connection):
                        declare_schema(connection)
                        connection.execute(f"CREATE OR REPLACE MACRO declared_code_version() AS '{hash_code()}'")
                    connection.execute("CHECKPOINT")  # DuckDB 1.5 cannot replay a log that creates views and macros
                yield connection
            finally:
                connection.close()
                if settings.rewrite_marker.exists():
                    rewrite(settings.warehouse_file)
                    settings.rewrite_marker.unlink()


def rewrite(file: Path) -> None:
    """Copy a database into a new file that takes its place: bytes of deleted rows stay behind in the old one."""
    fresh = file.with_suffix(".rewriting")
    fresh.unlink(missing_ok=True)
    with duckdb.connect() as connection:
        for path, name in ((file, "old"), (fresh, "fresh")):
            literal = str(path).replace("'", "''")
            connection.execute(f"ATTACH '{literal}' AS {name}")
        connection.execute("COPY FROM DATABASE old TO fresh")
        connection.execute("CHECKPOINT fresh")
    with fresh.open("rb") as written:
        os.fsync(written.fileno())
    os.replace(fresh, file)


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


def _declared_version(connection: duckdb.DuckDBPyConnection) -> str | None:
    """The code version whose schema the warehouse has; declaring it anew costs half a second with every connection."""
    has_one = connection.execute(
        "SELECT count(*) FROM duckdb_functions() WHERE function_name = 'declared_code_version'"
    ).fetchone()[0]
    return connection.execute("SELECT declared_code_version()").fetchone()[0] if has_one else None


def find_drift(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Where the current database differs from sql/: tables, columns, their types and comments; one line each."""
    declared = {
        (table.schema, table.name, column.name, column.data_type, describe_comment(column))
        for table in compile_catalog().tables.values()
        for column in table.columns
    }
    live = set(
        connection.execute(
            "SELECT schema_name, table_name, column_name, data_type, comment FROM duckdb_columns()"
            " WHERE NOT internal AND database_name = current_database()"
            " AND (schema_name, table_name) IN (SELECT (schema_name, table_name) FROM duckdb_tables())"
        ).fetchall()
    )
    return [
        f"{schema}.{table}.{column} ({data_type}) is {where}"
        for rows, where in (
            (declared - live, "declared in sql/ but not so in the database"),
            (live - declared, "in the database but not so in sql/"),
        )
        for schema, table, column, data_type, _ in sorted(rows, key=str)
    ]


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


def replace(connection: duckdb.DuckDBPyConnection, table: str, key: dict[str, str], frame) -> None:
    """Put a DataFrame in place of the rows of a key, in the caller's transaction.

    One condition a column: by them DuckDB skips blocks of rows, by a compared tuple it reads all (550 against 11 ms in 10 million).
    """
    condition = " AND ".join(f"{column} = ?" for column in key)
    connection.execute(f"DELETE FROM {table} WHERE {condition}", list(key.values()))
    insert(connection, table, frame.assign(**key))


def count_rows(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    """Number of rows of a table."""
    return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
