"""A snapshot: two database files and the dictionary, complete before anyone sees them.

What belongs here: copying whitelisted schemas into new files, suppression in the aggregate file, the dictionary, the switch of
the link `current`. Blocks that were deleted keep data, so a file is never made by deleting from a copy.
"""

import json
import os
import shutil
from pathlib import Path

import duckdb
import pandas as pd

from dagster_project.catalog import PUBLIC_SCHEMAS, SCHEMAS, compile_catalog, parse_comment
from dagster_project.warehouse import declare_schema, insert
from models.statistics.disclosure import suppress, suppress_complements

KEPT_SNAPSHOTS = 5
STORAGE_VERSION = "v1.4.0"
BANDS = ["sex", "age_band", "bmi_band"]
# Table -> keys along which nothing is summed, keys along which cells add up to a total.
MARGINS = {
    "stats.descriptive": (["analysis_set", "measure"], BANDS),
    "stats.band_percentile": (["analysis_set", "measure"], BANDS),
    "stats.correlation": (["analysis_set", "measure", "covariate"], ["sex"]),
    "stats.regression": (["analysis_set", "model", "measure", "term"], ["sex"]),
    "stats.profile": (["analysis_set", "compartment", "side", "bin"], ["sex", "age_band", "bmi_group"]),
    "stats.segmentation_score": (
        ["study", "model_version", "comparison", "validation", "compartment", "side", "metric"],
        ["sex", "size_third"],
    ),
    "stats.training_set": (["study", "role", "measure"], ["sex"]),
}
COUNTS = {"norms.lms": "n_near", "norms.centile_model": "n", "norms.q_statistic": "n", "norms.pinball_loss": "n"}
# Shares and quantiles of persons: shown only where enough lie beyond them. Table -> keys of its model, keys of its cells.
TAILS = {
    "norms.worm": (["measure", "sex", "covariates", "z"], ["age_band"]),
    "norms.coverage": (["measure", "sex", "covariates", "centile"], ["age_band", "bmi_band"]),
}


def publish(connection: duckdb.DuckDBPyConnection, snapshots: Path, stamp: str, least: int) -> Path:
    """Write snapshot `stamp` and make it the current one; returns its folder.

    Parameters
    ----------
    connection : DuckDBPyConnection
        The warehouse.
    least : int
        Statistics of fewer persons are NULL in the aggregate file.
    """
    building = snapshots / f".{stamp}.building"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    _write_file(connection, building / "normative.duckdb", PUBLIC_SCHEMAS, least)
    _write_file(connection, building / "research.duckdb", SCHEMAS, None)
    os.chmod(building / "research.duckdb", 0o600)
    _write_dictionary(building)
    for path in building.iterdir():
        _sync(path)
    os.replace(building, snapshots / stamp)
    _switch_current(snapshots, stamp)
    for old in sorted(path for path in snapshots.iterdir() if path.is_dir() and path.name[0].isdigit())[
        :-KEPT_SNAPSHOTS
    ]:
        shutil.rmtree(old)
    return snapshots / stamp


def _write_file(connection: duckdb.DuckDBPyConnection, path: Path, schemas: tuple[str, ...], least: int | None) -> None:
    """Write the tables of `schemas` into a new file; `least` applies suppression."""
    (warehouse,) = connection.execute("SELECT current_database()").fetchone()
    path_literal = str(path).replace("'", "''")
    connection.execute(f"ATTACH '{path_literal}' AS published (STORAGE_VERSION '{STORAGE_VERSION}')")
    try:
        connection.execute("USE published")
        declare_schema(connection, schemas)
        for name, table in compile_catalog().tables.items():
            if table.schema not in schemas or name == "meta.data_dictionary":
                continue
            if least is not None and _is_suppressible(name):
                insert(
                    connection, name, suppress_table(connection.execute(f"FROM {warehouse}.{name}").df(), name, least)
                )
            else:
                connection.execute(f"INSERT INTO {name} BY NAME FROM {warehouse}.{name}")
        insert(connection, "meta.data_dictionary", describe_columns(connection))
        connection.execute("CHECKPOINT published")
    finally:
        connection.execute(f"USE {warehouse}")
        connection.execute("DETACH published")


def _is_suppressible(name: str) -> bool:
    columns = {column.name for column in compile_catalog().tables[name].columns}
    return name in COUNTS or name in TAILS or name == "norms.shift" or (name.startswith("stats.") and "n" in columns)


def suppress_table(frame: pd.DataFrame, name: str, least: int) -> pd.DataFrame:
    """Empty what fewer than `least` persons stand behind.

    Cells that would give a suppressed one back by subtraction go as well. A participant flow with a small cell keeps only its
    first count, since each of its counts is the difference of two others.
    """
    if name == "stats.participant_flow":
        flow = frame.groupby(["study", "source", "model_version"])["n"]
        has_small = flow.transform(lambda n: ((n > 0) & (n < least)).any())
        return frame.assign(
            n=frame["n"].astype("Int64").where(~has_small | ((frame["position"] == 1) & (frame["n"] >= least)))
        )
    if name in COUNTS:
        return suppress(frame, least, [], n=COUNTS[name])
    if name == "norms.shift":
        return frame.assign(n_left_out=frame["n_left_out"].astype("Int64").where(frame["n_left_out"] >= least))
    if name in TAILS:
        within, margins = TAILS[name]
        shown = frame.assign(n=frame["n"].astype("Int64"))
        statistics = ["n", "observed_pct", "deviation", "ci_low", "ci_high", "p", "p_holm"]
        return suppress_complements(
            shown, least, [column for column in statistics if column in frame], within, margins, n="n_beyond"
        )
    statistics = [
        column.name
        for column in compile_catalog().tables[name].columns
        if column.data_type in ("DOUBLE", "FLOAT") or column.name == "strength"
    ]
    if name in MARGINS:
        within, margins = MARGINS[name]
        return suppress_complements(frame, least, statistics, within, margins)
    return suppress(frame, least, statistics)


def describe_columns(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """The dictionary of the current database, from its comments."""
    rows = connection.execute(
        "SELECT schema_name || '.' || table_name AS table_name, column_name, data_type, comment, column_index AS position"
        " FROM duckdb_columns() WHERE database_name = current_database() AND NOT internal"
        " AND (schema_name, table_name) IN (SELECT (schema_name, table_name) FROM duckdb_tables()) ORDER BY ALL"
    ).df()
    parts = rows["comment"].map(parse_comment)
    return rows.drop(columns="comment").assign(label=parts.str[0], details=parts.str[1], unit=parts.str[2])


def _write_dictionary(folder: Path) -> None:
    with duckdb.connect(str(folder / "research.duckdb"), read_only=True) as connection:
        rows = connection.execute("FROM meta.data_dictionary ORDER BY table_name, position").df()
    records = rows.astype(object).where(rows.notna(), None).to_dict("records")
    (folder / "dictionary.json").write_text(json.dumps(records, indent=1), encoding="utf-8")
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


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _switch_current(snapshots: Path, stamp: str) -> None:
    link = snapshots / f".current.{os.getpid()}"
    link.unlink(missing_ok=True)
    link.symlink_to(stamp)
    os.replace(link, snapshots / "current")
