"""`python -m dagster_project.promote MODEL [--despite-scores]`: make a model the one that segments from now on.

Promotions are lines of promotions.jsonl under MYONORM_HOME, never changed; the last one is in force unless MYONORM_MODEL says
otherwise. A model is compared with the current one on the held-out cases that both were scored on: score it first by running
the jobs with MYONORM_MODEL set to it. Masks and measures of the former model stay, under its own version; the published
statistics move to the new one when it has seen everyone behind them (`ref.analysis_set`).
"""

import argparse
import json
import os
import sys
from datetime import UTC, datetime

import duckdb

from dagster_project.model_registry import register
from dagster_project.settings import load_settings
from dagster_project.warehouse import Warehouse
from models.segmentation.inference import REGISTRY, InvalidModel, open_model

COMPARE = """
SELECT compartment, side, count(*) AS n, avg(candidate.dice) AS candidate, avg(standing.dice) AS standing
FROM imaging.segmentation_score AS candidate
JOIN imaging.segmentation_score AS standing
    USING (study, participant_id, visit, comparison, validation, compartment, side, annotation_sha256)
WHERE comparison = 'automatic' AND validation = 'test'
    AND candidate.model_version = $candidate AND standing.model_version = $standing
    AND candidate.dice IS NOT NULL AND standing.dice IS NOT NULL
GROUP BY ALL
ORDER BY ALL
"""


class NotPromoted(ValueError):
    """A model that may not be promoted; the message says why."""


def promote(name: str, despite_scores: bool = False) -> str:
    """Record the promotion of a model; returns its version.

    Raises
    ------
    InvalidModel
        If there is no such model, it is not what its manifest says, or another one bears its version.
    NotPromoted
        Unless `despite_scores`: if the models share no scored held-out case, or the mean Dice of a label is lower.
    """
    settings = load_settings()
    candidate, standing = open_model(settings.find_model(name)), open_model(settings.model)
    with Warehouse().connect() as connection:
        register(connection, candidate)
        scores = compare(connection, candidate.model_version, standing.model_version)
    if not despite_scores and not scores:
        raise NotPromoted(
            f"{candidate.model_version} and {standing.model_version} share no scored test case: run the jobs with"
            f" MYONORM_MODEL={name} first, or add --despite-scores."
        )
    worse = [f"{row['compartment']} {row['side']}" for row in scores if row["candidate"] < row["standing"]]
    if not despite_scores and worse:
        raise NotPromoted(
            f"{candidate.model_version} has a lower mean Dice in {', '.join(worse)}: add --despite-scores."
        )
    has_name = candidate.folder.parent in (REGISTRY, settings.models)
    line = {
        "model": candidate.folder.name if has_name else str(candidate.folder.absolute()),
        "model_version": candidate.model_version,
        "promoted_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "despite_scores": despite_scores,
        "scores": scores,
    }
    with (settings.home / "promotions.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return candidate.model_version


def compare(connection: duckdb.DuckDBPyConnection, candidate: str, standing: str) -> list[dict]:
    """Mean Dice per label of two models on the held-out cases that both were scored on."""
    result = connection.execute(COMPARE, {"candidate": candidate, "standing": standing})
    columns = [column[0] for column in result.description]
    return [dict(zip(columns, row, strict=True)) for row in result.fetchall()]


def main() -> int:
    """Command line: name or folder of a model."""
    parser = argparse.ArgumentParser(description="Make a model the one that segments from now on.")
    parser.add_argument("model", help="registered name or folder")
    parser.add_argument("--despite-scores", action="store_true", help="also where it scores lower, or was not scored")
    arguments = parser.parse_args()
    try:
        print(f"promoted {promote(arguments.model, arguments.despite_scores)}")
    except (InvalidModel, NotPromoted) as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
