"""The published snapshot, and the tables of meta that say what it was made of."""

import json
from datetime import UTC, datetime

import dagster as dg
import duckdb

from dagster_project.asset_specs import FOLLOWS, describe_table
from dagster_project.catalog import compile_catalog
from dagster_project.checks import find_failing
from dagster_project.code_version import hash_code
from dagster_project.cohort_intake import read_withdrawn_ids
from dagster_project.defs.releases import UnusableRelease, open_release
from dagster_project.identity import Identity
from dagster_project.intake_issue import Issues
from dagster_project.methods import list_software
from dagster_project.model_registry import register
from dagster_project.publication import choose_stamp, describe_columns, publish
from dagster_project.release_change import count_changes, restore_log
from dagster_project.republication import restore_memory
from dagster_project.settings import Settings, load_settings
from dagster_project.warehouse import Warehouse, count_rows, find_drift, insert, transaction
from dagster_project.withdrawal import UNPROVEN, find_traces, forget_remembered
from models.segmentation.inference import open_model

# Who and what stands behind published cells: filled by the publication itself.
MEMORY_TABLES = ("marts.published_value", "marts.published_cell")
META_TABLES = ("meta.model", "meta.release_log", "meta.published_change", "meta.data_dictionary")
PUBLISHED = [
    [table.schema, table.name]
    for table in compile_catalog().tables.values()
    if table.schema in ("ref", "marts", "stats", "norms", "scores") or (table.schema == "raw" and table.query)
]
UPSTREAM = [key for key in PUBLISHED if ".".join(key) not in MEMORY_TABLES]


@dg.multi_asset(
    specs=[
        *(
            dg.AssetSpec(**describe_table(table), group_name="meta", deps=UPSTREAM)
            for table in (*META_TABLES, *MEMORY_TABLES)
        ),
        dg.AssetSpec(
            "snapshot",
            group_name="meta",
            deps=UPSTREAM,
            description="Published files. normative.duckdb (aggregates), research.duckdb (participant level), dictionary.",
            kinds={"duckdb"},
            automation_condition=FOLLOWS,
        ),
    ],
    can_subset=False,
)
def publication(warehouse: Warehouse):
    """Record what the snapshot is made of, write it, make it the current one."""
    settings = load_settings()
    now = datetime.now(UTC)
    stamp = choose_stamp(now, settings.snapshots)
    with warehouse.connect() as connection:
        drop_unpublished(connection, settings)
        hindrances = find_failing(connection) + find_missing(connection, settings)
        if hindrances:
            raise dg.Failure(f"Not published: {', '.join(hindrances)}.")
        _record(connection, stamp, now)
        folder = publish(connection, settings, stamp)
        for table in (*META_TABLES, *MEMORY_TABLES):
            yield dg.MaterializeResult(
                asset_key=table.split("."), metadata={"dagster/row_count": count_rows(connection, table)}
            )
    sizes = {f"{path.stem}_bytes": path.stat().st_size for path in folder.glob("*.duckdb")}
    yield dg.MaterializeResult(asset_key="snapshot", metadata={"stamp": stamp, **sizes})


@dg.asset_check(
    asset="snapshot",
    name="forgotten",
    blocking=True,
    description="No file names a withdrawn person or holds the id in its bytes; looked for after each withdrawal. Left out: releases/ and the snapshots listed for the steward.",
)
def find_withdrawn(warehouse: Warehouse) -> dg.AssetCheckResult:
    settings = load_settings()
    unproven = settings.withdrawals / UNPROVEN
    if not unproven.exists():
        return dg.AssetCheckResult(passed=True, metadata={"searched": False})
    with warehouse.connect() as connection:
        names = connection.execute("SELECT DISTINCT release FROM raw.withdrawal").fetchall()
    ids = {text for (name,) in names for text in _withdrawn_ids(settings, name)}
    n_traces = len(find_traces(settings, sorted(ids)))
    if not n_traces:
        unproven.unlink()
    return dg.AssetCheckResult(passed=n_traces == 0, metadata={"searched": True, "files_with_traces": n_traces})


@dg.asset_check(
    asset=["meta", "data_dictionary"],
    name="current",
    blocking=True,
    description="The database has the tables, columns, types and comments that sql/ declares. If not: make rebuild.",
)
def find_dictionary_drift(warehouse: Warehouse) -> dg.AssetCheckResult:
    with warehouse.connect() as connection:
        drift = find_drift(connection)
    return dg.AssetCheckResult(passed=not drift, metadata={"differences": "\n".join(drift[:50])})


def drop_unpublished(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Forget what a publication noted that was killed before anyone saw it: log, changes, and the memory of published cells."""
    current = settings.published_file("research")
    unseen = {"stamp": current.parent.name if current else ""}
    with transaction(connection):
        for table in ("meta.release_log", "meta.published_change"):
            connection.execute(f"DELETE FROM {table} WHERE snapshot > $stamp", unseen)
        (n_cells,) = connection.execute(
            "SELECT count(*) FROM marts.published_cell WHERE snapshot > $stamp", unseen
        ).fetchone()
        for table in MEMORY_TABLES if n_cells else ():
            connection.execute(f"DELETE FROM {table}")
    if n_cells and restore_memory(connection, settings.snapshots):
        for (study,) in connection.execute("SELECT DISTINCT study FROM raw.release").fetchall():
            forget_remembered(connection, Identity(study, settings.resolve_secret_key(), settings.hash_pseudonyms))


def find_missing(connection: duckdb.DuckDBPyConnection, settings: Settings) -> list[str]:
    """What the current snapshot was made of and the warehouse lacks, one phrase each: it is being built anew."""
    former = settings.published_file("research")
    if not former:
        return []
    with duckdb.connect(str(former), read_only=True) as snapshot:
        names = {name for (name,) in snapshot.execute("SELECT release FROM raw.release").fetchall()}
    known = {name for (name,) in connection.execute("SELECT release FROM raw.release").fetchall()}
    lost = sorted(name for name in names - known if (settings.releases / name).is_dir())
    is_empty = not connection.execute(
        "SELECT count(*) FROM marts.muscle_phenotype JOIN ref.analysis_set USING (study, source, model_version)"
    ).fetchone()[0]
    phrases = [f"release {name} is not in the warehouse (make rebuild)" for name in lost]
    return phrases + (["the pinned analysis set is empty (make rebuild)"] if is_empty else [])


def _withdrawn_ids(settings: Settings, name: str) -> list[str]:
    """The ids a release withdraws, as delivered and as stored; none where the release is no longer there."""
    try:
        release = open_release(settings.releases, name)
    except UnusableRelease:
        return []
    identity = Identity(release.study, settings.resolve_secret_key(), settings.hash_pseudonyms)
    delivered = read_withdrawn_ids(release, Issues(identity))
    return [*delivered, *map(identity.pseudonym, delivered)]


def _record(connection: duckdb.DuckDBPyConnection, stamp: str, now: datetime) -> None:
    """Fill meta.model, meta.release_log and meta.data_dictionary."""
    settings = load_settings()
    model = open_model(settings.model)
    former = settings.published_file("research")
    restore_log(connection, former)
    with transaction(connection):
        register(connection, model)
        connection.execute("UPDATE meta.model SET is_current = (model_version = ?)", [model.model_version])
        for row in _list_promotions(settings):
            connection.execute(
                "UPDATE meta.model SET promoted_at = $promoted_at, scores = $scores WHERE model_version = $model_version",
                row,
            )
        log = connection.execute("SELECT release, study, fingerprint FROM raw.release ORDER BY registration").df()
        log = log.assign(
            snapshot=stamp,
            model_version=model.model_version,
            code_version=hash_code(),
            software=list_software(),
            least_persons=settings.min_cell,
            published_at=now.replace(tzinfo=None),
        )
        log = log.merge(count_changes(connection, former, settings.min_cell), on="release")
        insert(connection, "meta.release_log", log)
        connection.execute("TRUNCATE meta.data_dictionary")
        insert(connection, "meta.data_dictionary", describe_columns(connection))


def _list_promotions(settings: Settings) -> list[dict]:
    """When and on what scores models were promoted, the last time last; scores of few cases stay in promotions.jsonl."""
    return [
        {
            "model_version": line["model_version"],
            "promoted_at": datetime.fromisoformat(line["promoted_at"]).replace(tzinfo=None),
            "scores": json.dumps(line["scores"])
            if line["scores"] and all(row["n"] >= settings.min_cell for row in line["scores"])
            else None,
        }
        for line in settings.read_promotions()
    ]
