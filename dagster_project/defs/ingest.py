"""Intake: every door of a release into the raw tables, the images into derivatives.

What belongs here: the asset and the order of the doors. The doors themselves are `cohort_intake.py`,
`imaging_intake.py` and `annotation_intake.py`. A release may be taken in again: its rows are replaced, unchanged images are not opened.
"""

from datetime import UTC, datetime

import dagster as dg
import duckdb
import pandas as pd

from dagster_project import engine
from dagster_project.annotation_intake import AnnotationDoor
from dagster_project.asset_specs import describe_table
from dagster_project.case_work import verify_volume
from dagster_project.cohort_intake import read_withdrawn_ids, record_profile_issues, take_in_tables
from dagster_project.defs.releases import Release, open_release, releases
from dagster_project.identity import Identity
from dagster_project.imaging_intake import ImagingDoor
from dagster_project.intake_issue import Issues
from dagster_project.rerun import Rerun, requeue
from dagster_project.settings import load_settings
from dagster_project.warehouse import Warehouse, count_rows, insert, transaction
from dagster_project.withdrawal import Withdrawn, forget
from models.segmentation.inference import open_model

RAW_TABLES = (
    "release",
    "participant",
    "measurement",
    "withdrawal",
    "imaging_delivery",
    "dixon_series",
    "annotation",
    "intake_issue",
)
VERIFICATION_DEADLINE_S = 600


@dg.multi_asset(
    specs=[dg.AssetSpec(**describe_table(f"raw.{table}"), group_name="intake") for table in RAW_TABLES],
    partitions_def=releases,
    can_subset=False,
)
def intake(context: dg.AssetExecutionContext, warehouse: Warehouse, config: Rerun):
    """Read every door of a release; what cannot be read is a row of raw.intake_issue, the rest goes on."""
    settings = load_settings()
    release = open_release(settings.releases, context.partition_key)
    identity = Identity(release.study, settings.resolve_secret_key(), settings.hash_pseudonyms)
    issues = Issues(identity)
    with warehouse.connect() as connection:
        register(connection, release)
        forget(connection, settings, release.name, identity, read_withdrawn_ids(release, issues))
        n_again = requeue(connection, settings, release, identity, open_model(settings.model).model_version, config)
        withdrawn = Withdrawn(connection, identity)
        take_in_tables(connection, release, identity, withdrawn, issues)
        record_profile_issues(connection, release, issues)
        door = ImagingDoor(connection, settings, release, identity, withdrawn, issues)
        unchanged, n_read = door.take_in(context.log.info)
        AnnotationDoor(connection, settings, release, identity, withdrawn, issues).take_in(context.log.info)
        with transaction(connection):
            connection.execute(
                "DELETE FROM raw.intake_issue WHERE release = ? AND path NOT IN (SELECT unnest(?::VARCHAR[]))",
                [release.name, unchanged],
            )
            insert(connection, "raw.intake_issue", issues.collect().assign(release=release.name))
        connection.execute("CHECKPOINT")
        for table in RAW_TABLES:
            metadata = {"dagster/row_count": count_rows(connection, f"raw.{table}")}
            if table == "dixon_series":
                metadata |= {"read": n_read, "done again": n_again}
            yield dg.MaterializeResult(asset_key=["raw", table], metadata=metadata)


def register(connection: duckdb.DuckDBPyConnection, release: Release) -> None:
    """Write the release's row, keeping the place in the order that it got when it was first taken in."""
    with transaction(connection):
        earlier = connection.execute(
            "SELECT registration FROM raw.release WHERE release = ?", [release.name]
        ).fetchone()
        (last,) = connection.execute("SELECT coalesce(max(registration), 0) FROM raw.release").fetchone()
        connection.execute("DELETE FROM raw.release WHERE release = ?", [release.name])
        row = {
            "release": release.name,
            "study": release.study,
            "registration": earlier[0] if earlier else last + 1,
            "fingerprint": release.fingerprint,
            "has_imaging": (release.folder / "imaging").is_dir(),
            "notes": release.notes,
            "registered_at": datetime.now(UTC).replace(tzinfo=None),
        }
        insert(connection, "raw.release", pd.DataFrame([row]))


@dg.asset_check(
    asset=["raw", "dixon_series"],
    name="intact",
    description="Every stored volume and mask is, byte for byte, what was written. Reads all of them: run it on demand.",
)
def find_damaged_derivatives(warehouse: Warehouse) -> dg.AssetCheckResult:
    settings = load_settings()
    with warehouse.connect() as connection:
        paths = connection.execute(
            "SELECT nifti_path FROM raw.current_dixon_series"
            " UNION ALL SELECT mask_path FROM imaging.segmentation WHERE mask_path IS NOT NULL"
            " UNION ALL SELECT annotation_path FROM raw.annotation"
        ).fetchall()
    files = [settings.home / path for (path,) in paths]
    outcomes = engine.open_engine(settings).run(verify_volume, files, VERIFICATION_DEADLINE_S)
    n_damaged = sum(outcome.code is not None for outcome in outcomes)
    return dg.AssetCheckResult(passed=n_damaged == 0, metadata={"files": len(files), "damaged": n_damaged})
