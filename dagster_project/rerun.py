"""Cases to be done again: their results are forgotten, and the run does them as if they were new.

What belongs here: choosing and forgetting. That what is forgotten is done again is the work of the work lists; so a run that is
killed after the forgetting loses nothing.
"""

import dagster as dg
import duckdb
from pydantic import Field

from dagster_project.case_work import derivative_folder
from dagster_project.defs.releases import Release
from dagster_project.identity import Identity
from dagster_project.imaging_intake import LEFT_OUT, STORED
from dagster_project.settings import Settings
from dagster_project.warehouse import transaction

CASE = "study, participant_id, visit, model_version"
RESULTS = ("imaging.segmentation", "imaging.csa_profile", "imaging.muscle", "imaging.quality")
FAILED = f"""
    SELECT {CASE} FROM imaging.segmentation WHERE status = 'failed'
    UNION
    SELECT {CASE} FROM imaging.muscle WHERE reason IS NOT NULL
    UNION
    SELECT {CASE} FROM imaging.quality WHERE check_name = 'not_inspected'
"""


class Rerun(dg.Config):
    """What a run does again; nothing by default."""

    participants: list[str] = Field(
        [],
        description="All stages again for these, from the delivery on: ids as delivered, or hidden ones (Dagster keeps what is typed here).",
    )
    retry_failed: bool = Field(
        False,
        description="Try again what failed or was refused; with participants, theirs alone, and nothing else of them.",
    )


def hide(rerun: Rerun, identity: Identity) -> Rerun:
    """The same with keyed hashes for ids: Dagster keeps the configuration of runs, and must not name who withdraws later."""
    hidden = [_hide(identity.pseudonym(delivered_id), identity) for delivered_id in rerun.participants]
    return Rerun(participants=hidden, retry_failed=rerun.retry_failed)


def _hide(stored_id: str, identity: Identity) -> str:
    return f"h-{identity.hash(f'rerun/{stored_id}')}"


def _find_named(connection: duckdb.DuckDBPyConnection, release: str, identity: Identity, rerun: Rerun) -> list[str]:
    """Stored ids of the release's participants that `rerun` names, hidden or not; an unknown one stands for nobody."""
    wanted = set(rerun.participants) | {identity.pseudonym(delivered_id) for delivered_id in rerun.participants}
    known = connection.execute(
        "SELECT participant_id FROM raw.imaging_delivery WHERE release = $release AND participant_id IS NOT NULL"
        " UNION SELECT participant_id FROM raw.dixon_series WHERE release = $release",
        {"release": release},
    ).fetchall()
    return [stored_id for (stored_id,) in known if stored_id in wanted or _hide(stored_id, identity) in wanted]


def requeue(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    release: Release,
    identity: Identity,
    model_version: str,
    rerun: Rerun,
) -> int:
    """Forget the results of the cases that `rerun` names in a release and the model in force; returns how many there are."""
    if not rerun.participants and not rerun.retry_failed:
        return 0
    named = _find_named(connection, release.name, identity, rerun)
    if rerun.participants and not named:
        return 0
    parameters = {"release": release.name, "study": release.study, "model": model_version, "named": named}
    delivery = "release = $release AND ($named = [] OR list_contains($named, participant_id))"
    if rerun.retry_failed:
        left_out = ", ".join(f"'{outcome}'" for outcome in (STORED, *LEFT_OUT))
        delivery += f" AND outcome NOT IN ({left_out})"
    chosen = f"""
        SELECT DISTINCT {CASE}
        FROM (SELECT study, participant_id, visit FROM raw.current_dixon_series WHERE release = $release) AS image
        JOIN ({FAILED if rerun.retry_failed else "FROM imaging.segmentation"}) AS result USING (study, participant_id, visit)
        WHERE study = $study AND model_version = $model AND ($named = [] OR list_contains($named, participant_id))
    """
    cases = connection.execute(chosen, parameters).fetchall()
    with transaction(connection):
        connection.execute(
            f"DELETE FROM raw.imaging_delivery WHERE {delivery}",
            {name: parameters[name] for name in ("release", "named")},
        )
        for table in RESULTS:
            connection.executemany(f"DELETE FROM {table} WHERE ({CASE}) = (?, ?, ?, ?)", cases) if cases else None
    if not rerun.retry_failed:
        for study, participant_id, visit, model in cases:
            folder = settings.home / derivative_folder(study, participant_id, visit)
            for path in folder.glob(f"{model}_*"):
                path.unlink()
    return len(cases)
