"""The warehouse file: opened for writing by one process at a time, under one lock.

What belongs here: the connection, the schema, and noticing that committed rows are gone. What is written belongs to the assets,
publication to `defs/publication.py`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import dagster as dg
import duckdb
import pandas as pd
from filelock import FileLock

from dagster_project.catalog import SCHEMAS, compile_catalog, describe_comment
from dagster_project.code_version import hash_code
from dagster_project.run_guard import guard_run
from dagster_project.settings import load_settings

NUMBERED = "commit_number"
DAMAGED = "warehouse.duckdb is damaged, or lacks rows that were committed: run make rebuild."


class DamagedWarehouse(RuntimeError):
    """The warehouse file cannot be read, or lacks rows that were committed; the message says what to do."""


class Warehouse(dg.ConfigurableResource):
    """The pipeline's DuckDB file. `connect` waits for the lock of the file; a Dagster run waits until no other is in progress."""

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Self]:
        """The resource for one run: it alone is in progress."""
        settings = load_settings()
        with guard_run(settings, context.log.info) as was_killed:
            if was_killed and settings.warehouse_file.is_file():
                with self.connect() as connection:
                    read_everything(connection)
            yield self

    @contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection for writing to a warehouse whose tables, views and macros all exist; closed even after an error."""
        settings = load_settings()
        settings.home.mkdir(parents=True, exist_ok=True)
        with FileLock(settings.home / "warehouse.lock"):
            connection = _open(settings.warehouse_file)
            try:
                connection.execute("SET VARIABLE code_version = $hash", {"hash": hash_code()})
                if _declared_version(connection) != hash_code():
                    _declare_this_version(connection, settings.warehouse_file)
                yield connection
            finally:
                connection.close()
                if settings.rewrite_marker.exists():
                    rewrite(settings.warehouse_file)
                    settings.rewrite_marker.unlink()


def _open(file: Path) -> duckdb.DuckDBPyConnection:
    """Open the file for writing, and compare its last commit with the one noted beside it.

    Raises
    ------
    DamagedWarehouse
        If it is no database, or commits are missing: a write-ahead log that was cut is replayed without an error.
    """
    noted, declaring = file.with_suffix(".commit"), file.with_suffix(".declaring")
    if not file.is_file():
        noted.unlink(missing_ok=True)
    if declaring.is_file():
        # Killed while the schema was declared: nothing else is in the log, and it is declared again.
        file.with_suffix(".duckdb.wal").unlink(missing_ok=True)
        noted.unlink(missing_ok=True)
        declaring.unlink()
    try:
        connection = duckdb.connect(str(file))
    except (duckdb.SerializationException, duckdb.InternalException, duckdb.FatalException) as error:
        raise DamagedWarehouse(DAMAGED) from error
    except duckdb.IOException as error:
        if "lock" in str(error):
            raise
        raise DamagedWarehouse(DAMAGED) from error
    connection.execute(f"CREATE SEQUENCE IF NOT EXISTS {NUMBERED}")
    (next_number,) = connection.execute(f"SELECT nextval('{NUMBERED}')").fetchone()
    if noted.is_file() and next_number <= int(noted.read_text()):
        connection.close()
        raise DamagedWarehouse(DAMAGED)
    return connection


def read_everything(connection: duckdb.DuckDBPyConnection) -> None:
    """Read every value of every table, so that DuckDB compares all checksums.

    Raises
    ------
    DamagedWarehouse
        If a block is not what was written.
    """
    tables = connection.execute("SELECT schema_name, table_name FROM duckdb_tables() WHERE NOT internal").fetchall()
    try:
        for schema, table in tables:
            connection.execute(f'SELECT max(hash(read)) FROM "{schema}"."{table}" AS read').fetchone()
    except duckdb.Error as error:
        raise DamagedWarehouse(DAMAGED) from error


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


def _declare_this_version(connection: duckdb.DuckDBPyConnection, file: Path) -> None:
    """Bring the schema to this code's version. DuckDB cannot replay the log of a declaration: a marker says what a log left here holds."""
    marker = file.with_suffix(".declaring")
    connection.execute("CHECKPOINT")
    marker.touch()
    with transaction(connection):
        declare_schema(connection)
        connection.execute(f"CREATE OR REPLACE MACRO declared_code_version() AS '{hash_code()}'")
    connection.execute("CHECKPOINT")
    marker.unlink()


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
    """Commit what happens inside, or roll it back when it raises; in the warehouse the commit is numbered and noted."""
    connection.execute("BEGIN")
    try:
        yield
        number = _number_commit(connection)
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    if number:
        _note_commit(connection, number)


def _number_commit(connection: duckdb.DuckDBPyConnection) -> int | None:
    """The next number of the warehouse's commits; None in another database."""
    is_numbered = connection.execute(
        "SELECT count(*) FROM duckdb_sequences() WHERE sequence_name = ? AND database_name = current_database()",
        [NUMBERED],
    ).fetchone()[0]
    return connection.execute(f"SELECT nextval('{NUMBERED}')").fetchone()[0] if is_numbered else None


def _note_commit(connection: duckdb.DuckDBPyConnection, number: int) -> None:
    (path,) = connection.execute(
        "SELECT path FROM duckdb_databases() WHERE database_name = current_database()"
    ).fetchone()
    descriptor = os.open(Path(path).with_suffix(".commit"), os.O_WRONLY | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{number:020d}")
        file.flush()
        os.fsync(file.fileno())


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


def replace_all(connection: duckdb.DuckDBPyConnection, table: str, keys: pd.DataFrame, frame: pd.DataFrame) -> None:
    """Put a DataFrame in place of the rows of several keys, in the caller's transaction; the frame has the columns of the keys."""
    connection.register("replaced", keys.drop_duplicates())
    condition = " AND ".join(f"old.{column} = replaced.{column}" for column in keys.columns)
    connection.execute(f"DELETE FROM {table} AS old USING replaced WHERE {condition}")
    connection.unregister("replaced")
    insert(connection, table, frame)


def count_rows(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    """Number of rows of a table."""
    return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
