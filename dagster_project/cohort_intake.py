"""The table doors of a release: participants, measurements, measures, withdrawals, profiles.

What belongs here: which file goes through which door into which raw table. Reading a table is the work of
`models.statistics`.
"""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd

from dagster_project.catalog import SQL
from dagster_project.defs.releases import Release
from dagster_project.identity import Identity
from dagster_project.intake_issue import Issues
from dagster_project.warehouse import insert, transaction
from dagster_project.withdrawal import Withdrawn
from models.statistics import dialects, participants

PROFILES = "profiles.parquet"
PROFILE_COLUMNS = ("participant_id", "visit", "compartment", "side", "slice_index", "z_mm", "csa_cm2")
VALID_PROFILE_ROW = (
    "compartment IN ('psoas', 'gluteus') AND side IN ('left', 'right') AND csa_cm2 >= 0 AND isfinite(z_mm)"
)
UNREADABLE = "unreadable_table"


def read_withdrawn_ids(release: Release, issues: Issues) -> list[str]:
    """Ids in withdrawals.csv, as delivered."""
    return list(_read_door(release, "withdrawals", participants.read_withdrawals, issues)["participant_id"])


def take_in_tables(
    connection: duckdb.DuckDBPyConnection, release: Release, identity: Identity, withdrawn: Withdrawn, issues: Issues
) -> None:
    """Replace the release's rows of raw.participant and raw.measurement."""
    units = _known_units(connection, release, issues)
    measurements = _read_door(release, "measurements", participants.read_measurements, issues)
    rows_of = {
        "participant": _read_door(release, "participants", _reader_of_participants(release), issues),
        "measurement": _drop_unknown_measures(measurements, units, issues),
    }
    for table, rows in rows_of.items():
        rows = withdrawn.drop_from(rows)
        rows = rows.assign(
            participant_id=identity.pseudonyms(rows["participant_id"]), study=release.study, release=release.name
        )
        with transaction(connection):
            connection.execute(f"DELETE FROM raw.{table} WHERE release = ?", [release.name])
            insert(connection, f"raw.{table}", rows)


def record_profile_issues(connection: duckdb.DuckDBPyConnection, release: Release, issues: Issues) -> None:
    """Look at profiles.parquet; its rows go straight into imaging.csa_profile with the release's measurement."""
    path = release.folder / PROFILES
    if not path.is_file():
        return
    if not are_profiles_readable(connection, path):
        message = f"It is no Parquet file with the columns {', '.join(PROFILE_COLUMNS)}: deliver it so."
        issues.add(PROFILES, UNREADABLE, message)
        return
    (n_invalid,) = connection.execute(
        f"SELECT count(*) FROM read_parquet(?) WHERE ({VALID_PROFILE_ROW}) IS NOT TRUE", [str(path)]
    ).fetchone()
    if n_invalid:
        message = f"{n_invalid} rows have an unknown compartment or side, or no valid area or position: correct them."
        issues.add(PROFILES, "invalid_profile_row", message)


def are_profiles_readable(connection: duckdb.DuckDBPyConnection, path: Path) -> bool:
    """Whether a file is Parquet with the columns of the profiles door."""
    try:
        connection.execute(f"SELECT {', '.join(PROFILE_COLUMNS)} FROM read_parquet(?) LIMIT 0", [str(path)])
    except duckdb.Error:
        return False
    return True


def _reader_of_participants(release: Release) -> Callable[[Path], participants.CohortTable]:
    return lambda path: participants.read_participants(path, release.columns, dialects.find_code_book(path))


def _read_door(
    release: Release, door: str, read: Callable[[Path], participants.CohortTable], issues: Issues
) -> pd.DataFrame:
    """A table of the release, as CSV or Parquet; empty where it is absent or unreadable."""
    empty = pd.DataFrame(columns=["participant_id", "measure", "unit"])
    paths = [path for path in (release.folder / f"{door}.csv", release.folder / f"{door}.parquet") if path.is_file()]
    if len(paths) > 1:
        issues.add(f"{door}.parquet", UNREADABLE, "The table came as CSV and as Parquet: deliver one of them.")
    if len(paths) != 1:
        return empty
    try:
        table = read(paths[0])
    except participants.UnreadableTable as error:
        issues.add(paths[0].name, UNREADABLE, str(error))
        return empty
    issues.add_table(paths[0].name, table.issues)
    return table.rows


def _known_units(connection: duckdb.DuckDBPyConnection, release: Release, issues: Issues) -> dict[str, str]:
    """Unit of every known measure: built in, declared by earlier releases, declared by this one."""
    known = pd.read_csv(SQL / "ref" / "measure.csv").set_index("measure")["unit"].to_dict()
    known |= dict(connection.execute("SELECT measure, unit FROM ref.measure").fetchall())
    declared = _read_door(release, "measures", participants.read_measures, issues)
    return dict(zip(declared["measure"], declared["unit"], strict=True)) | known


def _drop_unknown_measures(rows: pd.DataFrame, units: dict[str, str], issues: Issues) -> pd.DataFrame:
    expected = rows["measure"].map(units)
    is_unknown, is_other_unit = expected.isna(), expected.notna() & (expected != rows["unit"])
    for measure in rows.loc[is_unknown, "measure"].unique():
        message = f"Measure {measure} is not registered: declare it in measures.csv."
        issues.add("measurements.csv", "unknown_measure", message)
    for measure in rows.loc[is_other_unit, "measure"].unique():
        issues.add("measurements.csv", "other_unit", f"Measure {measure} must come in {units[measure]}: convert it.")
    return rows[~is_unknown & ~is_other_unit]
