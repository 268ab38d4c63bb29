"""Withdrawn persons: removed from tables, derivatives and verdicts, kept out by keyed-hash tombstones.

What belongs here: forgetting, the tombstones on disk, what is left for the steward to destroy, and the proof of absence.
Never a log line with an id.
"""

import mmap
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pandas as pd
from filelock import FileLock

from dagster_project.case_work import derivative_folder
from dagster_project.catalog import Table, compile_catalog
from dagster_project.identity import Identity
from dagster_project.republication import restore_memory
from dagster_project.review_files import LOCK
from dagster_project.settings import Settings
from dagster_project.warehouse import insert, rewrite, transaction
from models.imaging.nifti import write_file

TO_DESTROY = "to_destroy.csv"
UNPROVEN = "unproven"
TOMBSTONE_COLUMNS = ["study", "participant_hmac", "release", "source"]
SOURCES = """
    SELECT 'measured' AS source
    WHERE EXISTS (FROM raw.imaging_delivery WHERE study = $study AND participant_id = $id)
        OR EXISTS (FROM raw.participant JOIN raw.release USING (release, study) WHERE study = $study AND participant_id = $id AND has_imaging)
    UNION ALL
    SELECT 'imported' WHERE EXISTS (FROM raw.measurement WHERE study = $study AND participant_id = $id)
"""

# In every set of persons that was published with them.
COUNT_WITHDRAWN = """
    WITH member AS (
        SELECT cell.rowid AS cell, participant_id
        FROM marts.published_cell AS cell, unnest(string_split(measures, ' + ')) AS need (measure)
        JOIN marts.published_value AS value
            ON value.measure = need.measure
            AND value.since <= cell.snapshot AND (value.until IS NULL OR value.until > cell.snapshot)
            AND coalesce(cell.sex = value.sex, cell.sex IS NULL)
            AND coalesce(cell.age_band = value.age_band, cell.age_band IS NULL)
            AND coalesce(cell.bmi_band = value.bmi_band, cell.bmi_band IS NULL)
        WHERE value.study = $study AND list_contains($ids, participant_id)
        GROUP BY cell.rowid, measures, participant_id
        HAVING count(*) = len(string_split(measures, ' + '))
    ), left_cell AS (
        SELECT cell, count(*) AS n FROM member GROUP BY cell
    )
    UPDATE marts.published_cell AS published
    SET n_withdrawn = n_withdrawn + left_cell.n
    FROM left_cell
    WHERE left_cell.cell = published.rowid
"""


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
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    release: str,
    identity: Identity,
    delivered_ids: list[str],
) -> None:
    """Remove persons from all tables, derivatives and verdicts, and leave tombstones, on disk as well.

    The warehouse file is rewritten when its connection closes: deleted rows keep their bytes in the old file.
    """
    _restore_tombstones(connection, settings.withdrawals)
    if restore_memory(connection, settings.snapshots):
        forget_remembered(connection, identity)
    stored_ids = {delivered_id: identity.pseudonym(delivered_id) for delivered_id in delivered_ids}
    tombstones = _bury(connection, release, identity, stored_ids)
    if not stored_ids and not len(tombstones):
        with transaction(connection):
            connection.execute("DELETE FROM raw.withdrawal WHERE release = ?", [release])
        return
    names = _name_training_cases(connection, identity, list(stored_ids.values()))
    was_known = _is_anyone_known(connection, identity.study, list(stored_ids.values()))
    settings.withdrawals.mkdir(exist_ok=True)
    if was_known:
        settings.rewrite_marker.touch()
        (settings.withdrawals / UNPROVEN).touch()
        _list_for_the_steward(connection, settings, release, identity.study, list(stored_ids.values()), names)
    with transaction(connection):
        connection.execute("DELETE FROM raw.withdrawal WHERE release = ?", [release])
        insert(connection, "raw.withdrawal", tombstones)
        connection.execute(COUNT_WITHDRAWN, {"study": identity.study, "ids": list(stored_ids.values())})
        for table in compile_catalog().tables.values():
            _forget_rows(connection, table, identity.study, list(stored_ids.values()))
    for stored_id in stored_ids.values():
        shutil.rmtree(settings.home / derivative_folder(identity.study, stored_id), ignore_errors=True)
        forget_verdicts(settings.home / "reviews", stored_id)
        _forget_in_work_packages(settings.home, stored_id)
    _forget_trainings(settings, names)
    tombstones.to_csv(settings.withdrawals / f"{release}.csv", index=False)


def _restore_tombstones(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Take tombstones on disk into a warehouse that does not have them (one that was built anew)."""
    known = {row[0] for row in connection.execute("SELECT DISTINCT release FROM raw.withdrawal").fetchall()}
    for path in sorted(folder.glob("*.csv")):
        if path.name != TO_DESTROY and path.stem not in known:
            insert(connection, "raw.withdrawal", pd.read_csv(path, dtype=str, usecols=TOMBSTONE_COLUMNS))


def forget_remembered(connection: duckdb.DuckDBPyConnection, identity: Identity) -> None:
    """Remove persons who withdrew after the snapshot that the memory of published cells came from."""
    known = connection.execute(
        "SELECT DISTINCT participant_id FROM marts.published_value WHERE study = ?", [identity.study]
    ).fetchall()
    withdrawn = Withdrawn(connection, identity)
    ids = [stored_id for (stored_id,) in known if stored_id in withdrawn]
    with transaction(connection):
        connection.execute(COUNT_WITHDRAWN, {"study": identity.study, "ids": ids})
        _forget_rows(connection, compile_catalog().tables["marts.published_value"], identity.study, ids)


def _bury(
    connection: duckdb.DuckDBPyConnection, release: str, identity: Identity, stored_ids: dict[str, str]
) -> pd.DataFrame:
    """Tombstones with the sources the persons have data in; who is gone already keeps the earlier tombstone's."""
    rows = []
    for delivered_id, stored_id in stored_ids.items():
        tombstone = identity.tombstone(delivered_id)
        found = connection.execute(SOURCES, {"study": identity.study, "id": stored_id}).fetchall()
        earlier = connection.execute(
            "SELECT DISTINCT source FROM raw.withdrawal WHERE (study, participant_hmac, release) = (?, ?, ?) AND source IS NOT NULL",
            [identity.study, tombstone, release],
        ).fetchall()
        for source in sorted({row[0] for row in found + earlier}) or [None]:
            rows.append([identity.study, tombstone, release, source])
    return pd.DataFrame(rows, columns=TOMBSTONE_COLUMNS, dtype=object)


def _is_anyone_known(connection: duckdb.DuckDBPyConnection, study: str, stored_ids: list[str]) -> bool:
    return any(
        connection.execute(
            f"SELECT 1 FROM {table.full_name} WHERE {_whose(table)} LIMIT 1", {"ids": stored_ids, "study": study}
        ).fetchone()
        for table in compile_catalog().tables.values()
        if _whose(table)
    )


def _forget_rows(connection: duckdb.DuckDBPyConnection, table: Table, study: str, stored_ids: list[str]) -> None:
    if _whose(table):
        connection.execute(f"DELETE FROM {table.full_name} WHERE {_whose(table)}", {"ids": stored_ids, "study": study})


def _whose(table: Table) -> str:
    """Condition for the rows of persons $ids of $study; empty where the table is not about persons."""
    columns = {column.name for column in table.columns}
    if "participant_id" not in columns:
        return ""
    of_study = (
        "study = $study" if "study" in columns else "release IN (FROM raw.release SELECT release WHERE study = $study)"
    )
    return f"list_contains($ids, participant_id) AND {of_study}"


def forget_verdicts(reviews: Path, stored_id: str) -> None:
    """Drop the lines of a person from the append-only verdicts, while the dashboard writes none."""
    if not reviews.is_dir():
        return
    pattern = re.compile(rf"(?<![A-Za-z0-9-]){re.escape(stored_id)}(?![A-Za-z0-9-])".encode())
    with FileLock(reviews / LOCK):
        for path in sorted(path for path in reviews.rglob("*") if path.is_file()):
            lines = path.read_bytes().splitlines(keepends=True)
            kept = [line for line in lines if not pattern.search(line)]
            if len(kept) < len(lines):
                write_file(path, b"".join(kept))
                path.chmod(0o600)


def _forget_in_work_packages(home: Path, stored_id: str) -> None:
    for folder in home.glob(f"work_packages/*/{stored_id}_*"):
        shutil.rmtree(folder)
        sheet = folder.parent / "annotations.csv"
        if sheet.is_file():
            lines = sheet.read_text(encoding="utf-8").splitlines()
            sheet.write_text("\n".join([line for line in lines if not line.startswith(f"{stored_id},")] + [""]))


def _name_training_cases(connection: duckdb.DuckDBPyConnection, identity: Identity, stored_ids: list[str]) -> list[str]:
    """What the persons' cases are called in training files and models, whether their masks are still delivered or not."""
    cases = connection.execute(
        "SELECT participant_id, visit FROM raw.annotation WHERE study = $study AND list_contains($ids, participant_id)"
        " UNION SELECT participant_id, visit FROM raw.dixon_series WHERE study = $study AND list_contains($ids, participant_id)",
        {"study": identity.study, "ids": stored_ids},
    ).fetchall()
    return [identity.case_name(*case) for case in cases]


def _forget_trainings(settings: Settings, names: list[str]) -> None:
    """Remove the working folders of trainings that hold images of the cases; the models that came of them are listed."""
    for name in names:
        for path in settings.trainings.glob(f"*/raw/*/labelsTr/{name}.nii.gz"):
            shutil.rmtree(path.parents[3])


def _list_for_the_steward(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    release: str,
    study: str,
    stored_ids: list[str],
    names: list[str],
) -> None:
    """Append what only the steward can destroy: snapshots, source files, models trained with the persons."""
    delivered = connection.execute(
        "SELECT DISTINCT release FROM (SELECT release, participant_id FROM raw.participant UNION SELECT release, participant_id FROM raw.imaging_delivery"
        " UNION SELECT release, participant_id FROM raw.measurement UNION SELECT release, participant_id FROM imaging.csa_profile)"
        " WHERE list_contains($ids, participant_id) ORDER BY ALL",
        {"ids": stored_ids},
    ).fetchall()
    trained = connection.execute(
        "SELECT DISTINCT model_version FROM imaging.segmentation_score"
        " WHERE list_contains($ids, participant_id) AND study = $study AND validation = 'out_of_fold' ORDER BY ALL",
        {"ids": stored_ids, "study": study},
    ).fetchall()
    rows = [("snapshot", path.name) for path in list_snapshots(settings.snapshots)]
    splits = {path.parent.name: path.read_text(encoding="utf-8") for path in settings.models.glob("*/splits.json")}
    models = {version for version, text in splits.items() if any(name in text for name in names)}
    models |= {version for (version,) in trained}
    rows += [("release", name) for (name,) in delivered] + [("model", name) for name in sorted(models)]
    listed = pd.DataFrame(rows, columns=["kind", "name"]).assign(
        withdrawn_in=release, listed_at=datetime.now(UTC).isoformat(timespec="seconds")
    )
    path = settings.withdrawals / TO_DESTROY
    listed.to_csv(path, mode="a", header=not path.exists(), index=False)


def list_snapshots(snapshots: Path) -> list[Path]:
    """Folders of published snapshots, oldest first."""
    if not snapshots.is_dir():
        return []
    return sorted(path for path in snapshots.iterdir() if path.is_dir() and path.name[0].isdigit())


def snapshots_to_destroy(settings: Settings) -> list[Path]:
    """Snapshots that still hold someone who has withdrawn since."""
    path = settings.withdrawals / TO_DESTROY
    if not path.is_file():
        return []
    listed = pd.read_csv(path, dtype=str)
    names = set(listed.loc[listed["kind"] == "snapshot", "name"])
    return [folder for folder in list_snapshots(settings.snapshots) if folder.name in names]


def find_traces(settings: Settings, ids: list[str]) -> list[Path]:
    """Files under MYONORM_HOME whose name or bytes hold one of the ids; releases/ and listed snapshots are left out.

    Ids in a database stand without separators, so two neighbours may spell a third: a hit there counts only where a fresh
    copy of the same rows has fewer.
    """
    if not ids:
        return []
    left_out = [settings.releases, *snapshots_to_destroy(settings)]
    anywhere = re.compile("|".join(map(re.escape, ids)).encode())
    # Digits alone occur in any number, hash or time.
    apart = re.compile(
        "|".join(rf"(?<![0-9a-f.]){id}(?![0-9a-f])" if id.isdigit() else re.escape(id) for id in ids).encode()
    )
    return [
        path
        for path in _files(settings.home, left_out)
        if apart.search(str(path.relative_to(settings.home)).encode())
        or (_is_in_database(path, anywhere) if path.suffix == ".duckdb" else _count_hits(path, apart) > 0)
    ]


def _files(home: Path, left_out: list[Path]) -> Iterator[Path]:
    for path in sorted(home.rglob("*")):
        if path.is_file() and not path.is_symlink() and not any(path.is_relative_to(folder) for folder in left_out):
            yield path


def _count_hits(path: Path, pattern: re.Pattern[bytes]) -> int:
    if not path.stat().st_size:
        return 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return sum(1 for _ in pattern.finditer(content))


def _is_in_database(path: Path, pattern: re.Pattern[bytes]) -> bool:
    hits = _count_hits(path, pattern)
    if not hits:
        return False
    copy = path.with_suffix(".copy")
    shutil.copy(path, copy)
    rewrite(copy)
    n_live, is_in_row = _count_hits(copy, pattern), _is_in_a_row(copy, pattern.pattern.decode())
    copy.unlink()
    return is_in_row or hits > n_live


def _is_in_a_row(path: Path, pattern: str) -> bool:
    with duckdb.connect(str(path), read_only=True) as connection:
        columns = connection.execute(
            "SELECT schema_name, table_name, column_name FROM duckdb_columns()"
            " WHERE NOT internal AND data_type LIKE '%VARCHAR%'"
            " AND (schema_name, table_name) IN (SELECT (schema_name, table_name) FROM duckdb_tables())"
        ).fetchall()
        bounded = f"(^|[^A-Za-z0-9-])({pattern})($|[^A-Za-z0-9-])"
        return any(
            connection.execute(
                f'SELECT 1 FROM "{schema}"."{table}" WHERE regexp_matches("{column}"::VARCHAR, ?) LIMIT 1', [bounded]
            ).fetchone()
            for schema, table, column in columns
        )
