"""A snapshot: two database files and the dictionary, complete before anyone sees them.

What belongs here: copying whitelisted schemas into new files, the dictionary, the switch of the link `current`. What the
aggregate file may show is `suppression.py`'s work. Blocks that were deleted keep data, so a file is never made by deleting from
a copy.
"""

import hashlib
import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pandas as pd

from dagster_project.catalog import PUBLIC_SCHEMAS, SCHEMAS, compile_catalog, parse_comment
from dagster_project.methods import write_methods
from dagster_project.paper_tables import render_tables
from dagster_project.release_change import compare_published
from dagster_project.republication import compare_with_published
from dagster_project.settings import Settings
from dagster_project.suppression import DERIVED, suppress_tables
from dagster_project.warehouse import declare_schema, insert, transaction
from dagster_project.withdrawal import list_snapshots, snapshots_to_destroy

KEPT_SNAPSHOTS = 5
STORAGE_VERSION = "v1.4.0"
CHECKSUMS = "SHA256SUMS"
STAMP = "%Y%m%dT%H%M%S%fZ"


def choose_stamp(now: datetime, snapshots: Path) -> str:
    """Name of the next snapshot: the time, or where the clock was set back a microsecond after the newest, for order is by name."""
    stamps = [path.name for path in list_snapshots(snapshots)]
    if stamps:
        now = max(now, datetime.strptime(stamps[-1], STAMP).replace(tzinfo=UTC) + timedelta(microseconds=1))
    return now.strftime(STAMP)


def publish(connection: duckdb.DuckDBPyConnection, settings: Settings, stamp: str) -> Path:
    """Write snapshot `stamp` and make it the current one; returns its folder.

    Parameters
    ----------
    connection : DuckDBPyConnection
        The warehouse.
    settings : Settings
        Statistics of fewer persons than `min_cell` are NULL in the aggregate file.
    """
    snapshots = settings.snapshots
    building = snapshots / f".{stamp}.building"
    building.mkdir(parents=True)
    try:
        _write_snapshot(connection, settings, building, stamp)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    os.replace(building, snapshots / stamp)
    _switch_current(snapshots, stamp)
    for old in list_snapshots(snapshots)[:-KEPT_SNAPSHOTS]:
        shutil.rmtree(old)
    if settings.destroy_snapshots:
        for old in snapshots_to_destroy(settings):
            shutil.rmtree(old)
    return snapshots / stamp


def _write_snapshot(connection: duckdb.DuckDBPyConnection, settings: Settings, building: Path, stamp: str) -> None:
    """All files of a snapshot, synced."""
    republication = compare_with_published(connection, _current(settings.snapshots), settings.min_cell)
    shown = suppress_tables(connection, settings.min_cell, republication)
    republication.remember(connection, shown, stamp)
    _write_file(connection, building / "normative.duckdb", PUBLIC_SCHEMAS, shown)
    _write_file(connection, building / "research.duckdb", SCHEMAS, {})
    os.chmod(building / "research.duckdb", 0o600)
    _record_changes(connection, settings, building, stamp)
    _write_dictionary(building)
    _write_for_readers(building)
    write_checksums(building)
    for path in building.iterdir():
        _sync(path)


def _record_changes(connection: duckdb.DuckDBPyConnection, settings: Settings, building: Path, stamp: str) -> None:
    """How the numbers of the file just written differ from the current ones: into the warehouse and both files."""
    changes = compare_published(building / "normative.duckdb", settings.published_file("normative"))
    changes = changes.assign(snapshot=stamp)
    insert(connection, "meta.published_change", changes)
    for name in ("normative.duckdb", "research.duckdb"):
        with duckdb.connect(str(building / name)) as file:
            insert(file, "meta.published_change", changes)


def _current(snapshots: Path) -> Path | None:
    path = (snapshots / "current").resolve() / "normative.duckdb"
    return path if path.is_file() else None


def _write_file(
    connection: duckdb.DuckDBPyConnection, path: Path, schemas: tuple[str, ...], shown: dict[str, pd.DataFrame]
) -> None:
    """Write the tables of `schemas` into a new file, those in `shown` as they are there."""
    (warehouse,) = connection.execute("SELECT current_database()").fetchone()
    path_literal = str(path).replace("'", "''")
    connection.execute(f"ATTACH '{path_literal}' AS published (STORAGE_VERSION '{STORAGE_VERSION}')")
    try:
        connection.execute("USE published")
        with transaction(connection):
            declare_schema(connection, schemas)
        for name, table in compile_catalog().tables.items():
            if table.schema not in schemas or name == "meta.data_dictionary":
                continue
            if name in shown:
                insert(connection, name, shown[name])
            elif shown and name in DERIVED:
                connection.execute(f"INSERT INTO {name} BY NAME {table.query}")
            else:
                connection.execute(f"INSERT INTO {name} BY NAME FROM {warehouse}.{name}")
        insert(connection, "meta.data_dictionary", describe_columns(connection))
        connection.execute("CHECKPOINT published")
    finally:
        connection.execute(f"USE {warehouse}")
        connection.execute("DETACH published")


def describe_columns(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """The dictionary of the current database, from its comments."""
    rows = connection.execute(
        "SELECT schema_name || '.' || table_name AS table_name, column_name, data_type, comment, column_index AS position"
        " FROM duckdb_columns() WHERE database_name = current_database() AND NOT internal"
        " AND (schema_name, table_name) IN (SELECT (schema_name, table_name) FROM duckdb_tables()) ORDER BY ALL"
    ).df()
    parts = rows["comment"].map(parse_comment)
    return rows.drop(columns="comment").assign(label=parts.str[0], details=parts.str[1], unit=parts.str[2])


def describe_as_sidecar(columns: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Rows of the dictionary of one table as BIDS describes the columns of a tabular file: LongName, Description, Units."""
    return {
        row.column_name: {
            name: text
            for name, text in (("LongName", row.label), ("Description", row.details), ("Units", row.unit))
            if pd.notna(text)
        }
        for row in columns.itertuples()
    }


def _write_dictionary(folder: Path) -> None:
    with duckdb.connect(str(folder / "research.duckdb"), read_only=True) as connection:
        rows = connection.execute("FROM meta.data_dictionary ORDER BY table_name, position").df()
    sidecars = {table: describe_as_sidecar(columns) for table, columns in rows.groupby("table_name", sort=False)}
    (folder / "dictionary.json").write_text(json.dumps(sidecars, indent=1, ensure_ascii=False), encoding="utf-8")
    lines = ["# Data dictionary", ""]
    for table, columns in rows.groupby("table_name", sort=False):
        lines += [
            f"## {table}",
            "",
            compile_catalog().tables[table].comment,
            "",
            "| column | unit | meaning |",
            "|---|---|---|",
        ]
        for column in columns.fillna("").itertuples():
            meaning = f"{column.label}. {column.details}".replace("|", "\\|")
            lines.append(f"| {column.column_name} | {column.unit} | {meaning} |")
        lines.append("")
    (folder / "dictionary.md").write_text("\n".join(lines), encoding="utf-8")


def _write_for_readers(folder: Path) -> None:
    """The methods paragraph and the study's tables, from the aggregate file alone."""
    with duckdb.connect(str(folder / "normative.duckdb"), read_only=True) as connection:
        (folder / "methods.md").write_text(write_methods(connection), encoding="utf-8")
        for name, page in render_tables(connection).items():
            (folder / f"{name}.html").write_text(page, encoding="utf-8")


def write_checksums(folder: Path) -> None:
    """SHA-256 of every file of a snapshot, in the form that `sha256sum --check` reads."""
    lines = [f"{_hash_file(path)}  {path.name}" for path in sorted(folder.iterdir())]
    (folder / CHECKSUMS).write_text("\n".join([*lines, ""]), encoding="utf-8")


def find_damaged_files(folder: Path) -> list[str]:
    """Names of a snapshot's files that are not what was published, or are gone."""
    lines = (folder / CHECKSUMS).read_text(encoding="utf-8").splitlines()
    written = {name: sha256 for sha256, name in (line.split("  ", 1) for line in lines)}
    return [
        name for name, sha256 in written.items() if not (folder / name).is_file() or _hash_file(folder / name) != sha256
    ]


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _switch_current(snapshots: Path, stamp: str) -> None:
    link = snapshots / f".current.{os.getpid()}"
    link.unlink(missing_ok=True)
    link.symlink_to(stamp)
    os.replace(link, snapshots / "current")
