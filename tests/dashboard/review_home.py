"""A small research installation for the review page: invented cases with figures, verdicts of the automatic checks, profiles."""

import hashlib
import io
import json
from pathlib import Path

import duckdb
import numpy as np
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[2]

STAMP = "20260103T000000Z"
N_SUSPICIOUS, N_PASSED = 12, 30
PICTURES_HEIGHT = 1500
PUBLIC = ("ref.threshold", "ref.review_reason", "ref.analysis_set", "ref.measure", "meta.model", "meta.data_dictionary")
PERSONAL = (
    *("raw.participant", "raw.release", "raw.current_participant", "imaging.quality", "imaging.csa_profile"),
    *("stats.review_agreement", "marts.review_rate"),
)
PUBLIC_ROWS = """
INSERT INTO ref.threshold BY NAME FROM read_csv('{thresholds}');
INSERT INTO ref.analysis_set VALUES ('synthetic / measured / v1', 'synthetic', 'measured', 'v1', true);
INSERT INTO meta.model BY NAME
SELECT 'v1' AS model_version, 'c' AS configuration, 1 AS n_folds, 'h' AS manifest_sha256, 'card' AS card, true AS is_current;
"""
PERSONAL_ROWS = """
INSERT INTO raw.release VALUES ('demo-1', 'synthetic', 1, 'f', true, NULL, '2026-01-01');
INSERT INTO raw.participant BY NAME
SELECT 'synthetic' AS study, (700000 + i)::VARCHAR AS participant_id, '30' AS visit, 'demo-1' AS release, 'F' AS sex,
    50 AS age_years, if(i % 2 = 0, 'north', 'south') AS centre
FROM range({n}) AS r (i);
INSERT INTO imaging.quality BY NAME
SELECT 'synthetic' AS study, (700000 + i)::VARCHAR AS participant_id, '30' AS visit, 'v1' AS model_version, check_name,
    if(i < {n_suspicious} AND check_name = 'islands_pct', 20 - i, 0) AS value, warn_limit, fail_limit,
    if(check_name = 'islands_pct' AND i < {n_suspicious}, if(i < 3, 'fail', 'warn'), if(i = 0, 'warn', 'pass')) AS verdict,
    if(check_name = 'islands_pct', 'left psoas', NULL) AS detail, sha256(i::VARCHAR) AS mask_sha256, 'demo-1' AS release
FROM range({n}) AS r (i), ref.threshold WHERE check_name IN ('islands_pct', 'holes_pct');
INSERT INTO imaging.csa_profile BY NAME
SELECT 'synthetic' AS study, (700000 + i)::VARCHAR AS participant_id, '30' AS visit, 'v1' AS model_version, compartment, side,
    k AS slice_index, -6 * k AS z_mm, 2.5 * k AS position_pct, 12 * sin(k / 13) AS csa_cm2, 'demo-1' AS release
FROM range({n}) AS r (i), range(40) AS s (k), unnest(['psoas', 'gluteus']) AS c (compartment), unnest(['left', 'right']) AS d (side);
INSERT INTO stats.review_agreement BY NAME
SELECT 'synthetic' AS study, 'v1' AS model_version, unnest(['left psoas', 'case']) AS muscle, 40 AS n, 95 AS observed_pct, 0.94 AS ac1,
    0.86 AS ac1_low, 1 AS ac1_high, 0.9 AS pabak, 0.4 AS kappa;
INSERT INTO marts.review_rate VALUES ('synthetic', 'v1', 'all', NULL, 1000, 190, 21, 4.2, 2.5, 6.9);
"""


def write_home(home: Path, n_passed: int = N_PASSED) -> None:
    """Write a published snapshot with `N_SUSPICIOUS` suspicious cases, 700000 the most, and their figures."""
    n = N_SUSPICIOUS + n_passed
    folder = home / "snapshots" / STAMP
    folder.mkdir(parents=True)
    public = PUBLIC_ROWS.format(thresholds=REPOSITORY / "sql" / "ref" / "threshold.csv")
    write_file(folder / "normative.duckdb", PUBLIC, public)
    personal = PERSONAL_ROWS.format(n=n, n_suspicious=N_SUSPICIOUS)
    write_file(folder / "research.duckdb", PUBLIC + PERSONAL, public + personal)
    (home / "snapshots" / "current").symlink_to(STAMP)
    rng = np.random.default_rng(1)
    coarse = Image.fromarray(rng.integers(0, 255, (200, 175), dtype=np.uint8)).resize((1400, 1600)).convert("RGB")
    for i in range(n):
        write_figure(home, str(700_000 + i), hashlib.sha256(str(i).encode()).hexdigest(), coarse.rotate(i))


def write_file(path: Path, tables: tuple[str, ...], rows: str) -> None:
    """Write a database with some tables of sql/, filled by their own SELECT where it reads nothing else, and by `rows`."""
    with duckdb.connect(str(path)) as connection:
        connection.execute("SET VARIABLE code_version = 'test'")
        for table in tables:
            schema, name = table.split(".")
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            for statement in connection.extract_statements((REPOSITORY / "sql" / schema / f"{name}.sql").read_text()):
                if statement.type != duckdb.StatementType.SELECT:
                    connection.execute(statement)
                elif table == "ref.review_reason":
                    connection.execute(f"INSERT INTO {table} BY NAME {statement.query}")
        connection.execute(rows)


def write_figure(home: Path, participant_id: str, mask_sha256: str, picture: Image.Image) -> None:
    """Write a case's overlay figure and its sidecar."""
    folder = home / "derivatives" / "synthetic" / participant_id / "30"
    folder.mkdir(parents=True)
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=50, method=0)
    (folder / "v1_overlay.webp").write_bytes(buffer.getvalue())
    facts = {"study": "synthetic", "mask_sha256": mask_sha256, "pictures_height_px": PICTURES_HEIGHT}
    (folder / "v1_overlay.json").write_text(json.dumps(facts))


def read_lines(home: Path, reader: str) -> list[dict]:
    """The lines of a reader's file."""
    path = home / "reviews" / f"{reader}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
