"""Withdrawn persons: removed from tables and derivatives, kept out by keyed-hash tombstones."""

import shutil
from pathlib import Path

import duckdb
import pandas as pd

from dagster_project.case_work import derivative_folder
from dagster_project.catalog import Table, compile_catalog
from dagster_project.identity import Identity
from dagster_project.warehouse import insert, transaction


class Withdrawn:
    """Membership in the tombstones of a study, by delivered id."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, identity: Identity):
        rows = connection.execute("SELECT participant_hmac FROM raw.withdrawal WHERE study = ?", [identity.study])
        self._tombstones, self._identity = {row[0] for row in rows.fetchall()}, identity

    def __contains__(self, delivered_id: str | None) -> bool:
        return bool(delivered_id and self._tombstones) and self._identity.tombstone(delivered_id) in self._tombstones

    def drop_from(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows of persons who have not withdrawn."""
        left = {delivered_id for delivered_id in rows["participant_id"].dropna().unique() if delivered_id in self}
        return rows[~rows["participant_id"].isin(left)]


def forget(
    connection: duckdb.DuckDBPyConnection, home: Path, release: str, identity: Identity, delivered_ids: list[str]
) -> None:
    """Remove persons from all tables and derivatives, and leave tombstones, on disk as well."""
    tombstones = [identity.tombstone(delivered_id) for delivered_id in delivered_ids]
    stored_ids = [identity.pseudonym(delivered_id) for delivered_id in delivered_ids]
    with transaction(connection):
        connection.execute("DELETE FROM raw.withdrawal WHERE release = ?", [release])
        frame = pd.DataFrame({"study": identity.study, "participant_hmac": tombstones, "release": release})
        insert(connection, "raw.withdrawal", frame)
        for table in compile_catalog().tables.values() if stored_ids else ():
            _forget_rows(connection, table, identity.study, stored_ids)
    for stored_id in stored_ids:
        shutil.rmtree(home / derivative_folder(identity.study, stored_id), ignore_errors=True)
        _forget_in_work_packages(home, stored_id)
    if tombstones:
        folder = home / "withdrawals"
        folder.mkdir(exist_ok=True)
        (folder / f"{release}.csv").write_text("\n".join(["participant_hmac", *tombstones, ""]))


def _forget_in_work_packages(home: Path, stored_id: str) -> None:
    for folder in home.glob(f"work_packages/*/{stored_id}_*"):
        shutil.rmtree(folder)
        sheet = folder.parent / "annotations.csv"
        lines = sheet.read_text(encoding="utf-8").splitlines() if sheet.is_file() else []
        sheet.write_text("\n".join([line for line in lines if not line.startswith(f"{stored_id},")] + [""]))


def _forget_rows(connection: duckdb.DuckDBPyConnection, table: Table, study: str, stored_ids: list[str]) -> None:
    columns = {column.name for column in table.columns}
    if "participant_id" not in columns:
        return
    releases = "release IN (SELECT release FROM raw.release WHERE study = $study)"
    connection.execute(
        f"DELETE FROM {table.full_name} WHERE list_contains($ids, participant_id) AND "
        + ("study = $study" if "study" in columns else releases),
        {"ids": stored_ids, "study": study},
    )
