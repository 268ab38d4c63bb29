"""Read access to the published snapshot.

Belongs here: where the newest snapshot lies, its connection, queries, and what every page asks of it (labels, units, registries,
whom it describes).
Does not belong here: statistics, formatting beyond the spelling of units, anything that writes.

A snapshot never changes; a new one has a new path. A rerun looks up the newest one once, in `open_newest`, and stays with it.
"""

import os
from pathlib import Path

import duckdb
import pandas as pd
import streamlit as st

from dashboard.language import name, say

FILE = "normative.duckdb"
RESEARCH_FILE = "research.duckdb"
OPENED = "snapshot_folder"
FIRST_MEASURE = "csa_psoas_total_cm2"  # what a first visitor sees
SUPERSCRIPT = str.maketrans("23", "²³")


class SnapshotMissing(FileNotFoundError):
    """There is no published snapshot yet."""


def home() -> Path:
    """Return the folder of the installation."""
    return Path(os.environ.get("MYONORM_HOME", "data"))


def is_research() -> bool:
    """Return whether pages may read participant level: MYONORM_RESEARCH=1."""
    return os.environ.get("MYONORM_RESEARCH") == "1"


def newest() -> Path:
    """Return the folder of the newest snapshot, links resolved.

    Raises
    ------
    SnapshotMissing
        `$MYONORM_HOME/snapshots/current` holds no published file.
    """
    folder = (home() / "snapshots" / "current").resolve()
    if not (folder / FILE).is_file():
        raise SnapshotMissing(f"No {FILE} in {folder}.")
    return folder


def open_newest() -> None:
    """Let all queries of this rerun read the newest snapshot.

    Raises
    ------
    SnapshotMissing
        There is none.
    """
    st.session_state[OPENED] = str(newest())


def query(sql: str, params: dict[str, object] | None = None, research: bool = False) -> pd.DataFrame:
    """Return the rows of a SELECT on the opened snapshot; `params` fill its $names.

    Parameters
    ----------
    research : bool
        Read the participant level; in research mode only.

    Raises
    ------
    PermissionError
        The dashboard is not in research mode.
    """
    if research and not is_research():
        raise PermissionError("Participant level is for the research mode: MYONORM_RESEARCH=1.")
    file = Path(st.session_state[OPENED]) / (RESEARCH_FILE if research else FILE)
    return _query(str(file), sql, params or {})


def compute(sql: str, params: dict[str, object] | None = None, people: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the rows of a SELECT about what somebody entered: nothing of it is cached. `people` is the table of that name."""
    cursor = _connection(str(folder() / FILE)).cursor()
    if people is not None:
        cursor.register("people", people)
    return cursor.execute(sql, params or {}).df()


def folder() -> Path:
    """Return the folder of the opened snapshot."""
    return Path(st.session_state[OPENED])


def stamp() -> str:
    """Return the name of the opened snapshot."""
    return Path(st.session_state[OPENED]).name


def label(table: str, column: str) -> str:
    """Return the label of a column, as its comment declares it; `table` is schema.table."""
    return name("column", column, _declared(table, column)["label"])


def unit(table: str, column: str) -> str:
    """Return the unit of a column, as written for people."""
    return readable_unit(_declared(table, column)["unit"])


def readable_unit(unit: str) -> str:
    """Return a unit as written for people.

    >>> readable_unit("cm2/m2")
    'cm²/m²'
    """
    return unit.translate(SUPERSCRIPT)


def measures() -> pd.DataFrame:
    """Return the registry of measures by name: label, unit (as written for people), kind, definition."""
    registry = query("FROM ref.measure").set_index("measure")
    return registry.assign(unit=registry["unit"].map(readable_unit))


def analysis_set() -> pd.Series | None:
    """Return the one row of ref.analysis_set: the people and measurements behind every number; None before the first results."""
    rows = query("FROM ref.analysis_set")
    return None if rows.empty else rows.iloc[0]


def reference_population(analysis_set: pd.Series) -> str:
    """Return whom the numbers describe."""
    if analysis_set["is_synthetic"]:
        return say("population.synthetic")
    if "nako" in analysis_set["study"].lower():
        return say("population.nako")
    return say("population.other", study=analysis_set["study"])


def _declared(table: str, column: str) -> pd.Series:
    return query("FROM meta.data_dictionary").set_index(["table_name", "column_name"]).loc[(table, column)]


@st.cache_data(max_entries=500, show_spinner=False)
def _query(file: str, sql: str, params: dict[str, object]) -> pd.DataFrame:
    return _connection(file).cursor().execute(sql, params).df()


@st.cache_resource(max_entries=4, show_spinner=False)
def _connection(file: str) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(file, read_only=True)
