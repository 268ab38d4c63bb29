"""Masks -> CSA profiles and muscles; imported profiles take the same table."""

import dagster as dg
import duckdb
import pandas as pd

from dagster_project import engine
from dagster_project.asset_specs import describe_table
from dagster_project.batching import in_batches, stack
from dagster_project.case_work import ImageCase, measure
from dagster_project.cohort_intake import PROFILES, VALID_PROFILE_ROW, are_profiles_readable
from dagster_project.defs.releases import Release, open_release, releases
from dagster_project.identity import Identity
from dagster_project.settings import load_settings
from dagster_project.warehouse import Warehouse, count_rows, replace_all, transaction
from dagster_project.withdrawal import Withdrawn
from models.segmentation.anatomy import LABELS
from models.segmentation.inference import open_model

MEASUREMENT_DEADLINE_S = 600
PARTICIPANT_ID = "[A-Za-z0-9][A-Za-z0-9-]{0,31}"
KEYS = ("study", "participant_id", "visit", "model_version")


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            **describe_table(f"imaging.{table}"),
            group_name="imaging",
            deps=[["imaging", "segmentation"], ["raw", "withdrawal"]],
        )
        for table in ("csa_profile", "muscle")
    ],
    partitions_def=releases,
    can_subset=False,
)
def measurement(context: dg.AssetExecutionContext, warehouse: Warehouse):
    """Measure the release's masks that are new or changed, and take in the profiles it brings."""
    settings = load_settings()
    release = open_release(settings.releases, context.partition_key)
    with warehouse.connect() as connection:
        identity = Identity(release.study, settings.resolve_secret_key(), settings.hash_pseudonyms)
        import_profiles(connection, release, identity)
        masks = list_masks(connection, open_model(settings.model).model_version, release.name)
        cases = {
            ImageCase(settings.home, *row.iloc[:3], row["image_sha256"], 0, row["model_version"], settings.device): row[
                "mask_sha256"
            ]
            for _, row in masks.iterrows()
        }
        outcomes = engine.open_engine(settings).run(measure, cases, MEASUREMENT_DEADLINE_S)
        done = 0
        for batch in in_batches(outcomes):
            store_all(connection, [(outcome, cases[outcome.case]) for outcome in batch], release.name)
            done += len(batch)
            n_failed = sum(outcome.code is not None for outcome in batch)
            context.log.info(
                f"{release.name}: {done} of {len(cases)} masks; of the last {len(batch)} {n_failed} failed"
            )
        connection.execute("CHECKPOINT")
        for table in ("csa_profile", "muscle"):
            n_rows = count_rows(connection, f"imaging.{table}")
            yield dg.MaterializeResult(
                asset_key=["imaging", table], metadata={"measured": len(cases), "dagster/row_count": n_rows}
            )


def import_profiles(connection: duckdb.DuckDBPyConnection, release: Release, identity: Identity) -> None:
    """Replace the release's imported profiles; slices are counted from the cranial end, the later release wins."""
    path = release.folder / PROFILES
    with transaction(connection):
        connection.execute(
            "DELETE FROM imaging.csa_profile WHERE release = ? AND model_version = 'imported'", [release.name]
        )
        if not path.is_file() or not are_profiles_readable(connection, path):
            return
        persons = connection.execute("SELECT DISTINCT participant_id FROM read_parquet(?)", [str(path)]).df()
        persons = Withdrawn(connection, identity).drop_from(persons)
        persons = persons[persons["participant_id"].str.fullmatch(PARTICIPANT_ID).fillna(False)]
        persons = persons.assign(stored_id=identity.pseudonyms(persons["participant_id"]))
        connection.register("person", persons)
        connection.execute(
            f"""
            INSERT INTO imaging.csa_profile BY NAME
            SELECT
                $study AS study, stored_id AS participant_id, visit, 'imported' AS model_version, compartment, side, z_mm, csa_cm2,
                row_number() OVER cranial_first - 1 AS slice_index,
                100 * (row_number() OVER cranial_first - 0.5) / count(*) OVER muscle AS position_pct,
                $release AS release
            FROM read_parquet($path)
            JOIN person USING (participant_id)
            WHERE {VALID_PROFILE_ROW}
            WINDOW muscle AS (PARTITION BY participant_id, visit, compartment, side), cranial_first AS (muscle ORDER BY z_mm DESC)
            """,
            {"study": release.study, "release": release.name, "path": str(path)},
        )
        connection.unregister("person")
        connection.execute(
            """
            DELETE FROM imaging.csa_profile AS profile
            USING (
                SELECT study, participant_id, visit, arg_max(release, registration) AS release
                FROM (SELECT DISTINCT study, participant_id, visit, release FROM imaging.csa_profile WHERE model_version = 'imported')
                JOIN raw.release USING (study, release)
                GROUP BY ALL
                HAVING count(*) > 1
            ) AS latest
            WHERE profile.model_version = 'imported' AND profile.release <> latest.release
                AND (profile.study, profile.participant_id, profile.visit) = (latest.study, latest.participant_id, latest.visit)
            """
        )


def list_masks(connection: duckdb.DuckDBPyConnection, model_version: str, release: str) -> pd.DataFrame:
    """The release's masks that were not measured yet: study, participant_id, visit, model_version, image_sha256, mask_sha256."""
    return connection.execute(
        """
        SELECT DISTINCT study, participant_id, visit, model_version, ledger.image_sha256, ledger.mask_sha256
        FROM imaging.segmentation AS ledger
        JOIN raw.current_dixon_series AS series USING (study, participant_id, visit)
        ANTI JOIN imaging.muscle AS muscle USING (study, participant_id, visit, model_version, mask_sha256)
        WHERE status = 'done' AND model_version = $model AND release = $release
        ORDER BY ALL
        """,
        {"model": model_version, "release": release},
    ).df()


def store(connection: duckdb.DuckDBPyConnection, outcome: engine.Outcome, mask_sha256: str, release: str) -> None:
    """Replace the case's profile and muscles; a case that could not be measured has NULLs and the reason."""
    store_all(connection, [(outcome, mask_sha256)], release)


def store_all(connection: duckdb.DuckDBPyConnection, outcomes: list[tuple[engine.Outcome, str]], release: str) -> None:
    """`store` for some cases, each with the hash of its mask, in one transaction."""
    keys, muscles, measured, profiles = [], [], [], []
    for outcome, mask_sha256 in outcomes:
        case = outcome.case
        key = dict(zip(KEYS, (case.study, case.participant_id, case.visit, case.model), strict=True))
        keys.append(key | {"release": release, "mask_sha256": mask_sha256})
        if outcome.code:
            muscles.append(pd.DataFrame([{"compartment": c, "side": s, "reason": outcome.message} for c, s in LABELS]))
        else:
            muscles.append(outcome.result.muscles)
            measured.append(key | {"release": release})
            profiles.append(outcome.result.profile)
    cases = pd.DataFrame(keys)[list(KEYS)]
    with transaction(connection):
        replace_all(connection, "imaging.csa_profile", cases, stack(profiles, measured))
        replace_all(connection, "imaging.muscle", cases, stack(muscles, keys))
