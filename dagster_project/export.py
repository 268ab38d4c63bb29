"""`make export TABLE=<schema.table>`: a table of the current snapshot as CSV and Parquet, with its dictionary and citation.

Participant-level tables come from the research file, and only when asked for with --research.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import duckdb

from dagster_project.publication import describe_as_sidecar
from dagster_project.settings import load_settings


class NotExported(ValueError):
    """The table cannot be exported; the message says what to do."""


def export_table(snapshot: Path, table: str, folder: Path, is_research: bool = False) -> list[Path]:
    """Write <table>.csv, .parquet, .json (BIDS-style dictionary) and .md (methods and citation); returns their paths.

    Raises
    ------
    NotExported
        If the snapshot has no such table in the aggregate file, or none in the research file where that was asked for.
    """
    file = "research.duckdb" if is_research else "normative.duckdb"
    folder.mkdir(parents=True, exist_ok=True)
    paths = {suffix: folder / f"{table}.{suffix}" for suffix in ("csv", "parquet", "json", "md")}
    with duckdb.connect(str((snapshot / file).resolve()), read_only=True) as connection:
        dictionary = connection.execute(
            "FROM meta.data_dictionary WHERE table_name = ? ORDER BY position", [table]
        ).df()
        if dictionary.empty:
            known = connection.execute("SELECT DISTINCT table_name FROM meta.data_dictionary ORDER BY ALL").fetchall()
            raise NotExported(f"{file} has no table {table}: name one of {', '.join(name for (name,) in known)}.")
        os.umask(0o077 if is_research else os.umask(0))
        for suffix, options in (("csv", "FORMAT csv, HEADER"), ("parquet", "FORMAT parquet, COMPRESSION zstd")):
            literal = str(paths[suffix]).replace("'", "''")
            connection.execute(f"COPY (FROM {table} ORDER BY ALL) TO '{literal}' ({options})")
    sidecar = json.dumps(describe_as_sidecar(dictionary), indent=1, ensure_ascii=False)
    paths["json"].write_text(sidecar, encoding="utf-8")
    paths["md"].write_text((snapshot / "methods.md").read_text(encoding="utf-8"), encoding="utf-8")
    return list(paths.values())


def main() -> int:
    """Command line: table, folder, --research."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table")
    parser.add_argument("folder", nargs="?", default="export", type=Path)
    parser.add_argument("--research", action="store_true")
    arguments = parser.parse_args()
    snapshot = (load_settings().snapshots / "current").resolve()
    try:
        for path in export_table(snapshot, arguments.table, arguments.folder, arguments.research):
            print(path)
    except (NotExported, duckdb.IOException, FileNotFoundError) as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
