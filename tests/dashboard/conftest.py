"""A small published snapshot whose norms have a closed form, and the dashboard on it."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from streamlit.testing.v1 import AppTest

REPOSITORY = Path(__file__).resolve().parents[2]
SCHEMAS = ("ref", "stats", "norms", "meta")
ROWS = """
INSERT INTO ref.measure BY NAME FROM read_csv('{measures}');
INSERT INTO ref.threshold BY NAME FROM read_csv('{thresholds}');
INSERT INTO ref.analysis_set VALUES ('synthetic / imported / imported', 'synthetic', 'imported', 'imported', true);

CREATE TEMP TABLE cell AS
SELECT 'synthetic / imported / imported' AS analysis_set, sex, CASE sex WHEN 'F' THEN 1.0 ELSE 1.5 END AS size
FROM (VALUES ('F'), ('M')) AS person (sex);

-- L = 0.3, M = 10 size exp(0.004 age + 0.02 BMI), S = 0.1 + 0.001 age: exact under the interpolation
INSERT INTO norms.lms BY NAME
SELECT
    analysis_set, 'csa_psoas_total_cm2' AS measure, sex, age AS age_years, bmi AS bmi_kg_m2, 0.3 AS l,
    10 * size * exp(0.004 * age + 0.02 * coalesce(bmi, 26)) AS m, 0.1 + 0.001 * age AS s, 50 AS n_near, 1e-4 AS var_log_m,
    0 AS cov_log_m_log_s, 0 AS cov_log_m_l, 0 AS var_log_s, 0 AS cov_log_s_l, 0 AS var_l
FROM cell, range(20, 71) AS a (age), (SELECT unnest(range(18, 41)) UNION ALL SELECT NULL) AS b (bmi);
INSERT INTO norms.lms BY NAME
SELECT * REPLACE ('volume_gluteus_left_l' AS measure) FROM norms.lms WHERE bmi_kg_m2 IS NULL;
INSERT INTO norms.centile BY NAME
SELECT
    analysis_set, measure, sex, age_years, bmi_kg_m2, centile,
    m * (1 + l * s * z) ** (1 / l) AS value, value * 0.98 AS ci_low, value * 1.02 AS ci_high
FROM norms.lms, (VALUES
    (3, -1.8808), (5, -1.6449), (10, -1.2816), (25, -0.6745), (50, 0), (75, 0.6745), (90, 1.2816), (95, 1.6449), (97, 1.8808)
) AS quantile (centile, z);

INSERT INTO stats.descriptive BY NAME
SELECT analysis_set, measure, sex, age_band, bmi_band, n, 100 AS pct, 24.47 * size AS mean, 3.65 AS sd, 24.41 AS ci_low, 24.53 AS ci_high
FROM cell, ref.measure, (
    SELECT NULL AS age_band, NULL AS bmi_band, 12262 AS n
    UNION ALL SELECT band, NULL, 2000 FROM ref.band WHERE kind = 'age'
    UNION ALL SELECT NULL, band, 2000 FROM ref.band WHERE kind = 'bmi'
);
UPDATE stats.descriptive SET suppression = 'suppressed (< 10)', n = NULL, pct = NULL, mean = NULL, sd = NULL, ci_low = NULL, ci_high = NULL WHERE bmi_band = '>=40';
INSERT INTO stats.band_percentile BY NAME
SELECT
    analysis_set, measure, sex, age_band, bmi_band, n, suppression, mean * 0.8 AS p10, mean * 0.9 AS p25, mean AS p50, mean * 0.99 AS p50_low,
    mean * 1.01 AS p50_high, mean * 1.1 AS p75, mean * 1.2 AS p90
FROM stats.descriptive;
INSERT INTO stats.correlation BY NAME
SELECT analysis_set, measure.measure, covariate.measure AS covariate, sex, 12262 AS n, 0.62 AS r, 0.6 AS ci_low, 0.63 AS ci_high,
    0 AS p, 'strong' AS strength
FROM cell, ref.measure AS measure, ref.measure AS covariate
WHERE measure.kind = 'muscle' AND covariate.kind = 'covariate';
INSERT INTO stats.regression BY NAME
SELECT analysis_set, model, measure, NULL AS sex, term, 27805 AS n, 0.2131 AS estimate, 0.2052 AS ci_low, 0.2214 AS ci_high,
    0.5 AS r_squared
FROM (SELECT DISTINCT analysis_set FROM cell), ref.measure, ref.regression_model, unnest(['Intercept', 'age_years', 'sex_male']) AS t (term)
WHERE kind = 'muscle';
INSERT INTO stats.profile BY NAME
SELECT analysis_set, compartment, side, sex, band AS age_band, bin, 100 AS n, 1 AS mean_share_pct
FROM cell, ref.band, range(100) AS b (bin), unnest(['psoas', 'gluteus']) AS c (compartment), unnest(['left', 'right']) AS d (side)
WHERE kind = 'age';
INSERT INTO stats.participant_flow (study, source, model_version, position, step, reason, n) VALUES
    ('synthetic', 'imported', 'imported', 4, 'analysed', NULL, 27805),
    ('synthetic', 'imported', 'imported', 5, 'with BMI', 'height or weight missing', 946),
    ('synthetic', 'imported', 'imported', 5, 'with BMI', NULL, 26859),
    ('other', 'measured', 'v1', 4, 'analysed', NULL, 77777);
INSERT INTO stats.profile_maximum BY NAME
SELECT analysis_set, compartment, side, sex, band AS age_band, 100 AS n, 55 + position AS mean_level_pct, 3 AS sd_level_pct
FROM cell, ref.band, unnest(['psoas', 'gluteus']) AS c (compartment), unnest(['left', 'right']) AS d (side)
WHERE kind = 'age';
INSERT INTO stats.segmentation_score BY NAME
SELECT
    'synthetic' AS study, 'phantom-v2' AS model_version, 'automatic' AS comparison, 'test' AS validation, compartment, side,
    metric, sex, size_third, 30 AS n, 0.95 AS mean, 0.01 AS sd
FROM unnest(['psoas', 'gluteus']) AS c (compartment), unnest(['left', 'right']) AS d (side),
    unnest(['dice', 'surface_dice_3mm', 'hd95_mm', 'precision', 'recall', 'specificity', 'accuracy']) AS m (metric),
    (VALUES (NULL, NULL), ('F', NULL), ('M', NULL), (NULL, 1), (NULL, 2), (NULL, 3)) AS g (sex, size_third);
INSERT INTO stats.agreement BY NAME
SELECT
    'synthetic' AS study, 'phantom-v2' AS model_version, 'test' AS validation, measure, unit, 30 AS n,
    0.25 AS bias, 0.15 AS bias_low, 0.35 AS bias_high, 0.5 AS sd, -0.73 AS limit_low, -0.9 AS limit_low_low,
    -0.6 AS limit_low_high, 1.23 AS limit_high, 1.1 AS limit_high_low, 1.4 AS limit_high_high, false AS grows_with_size,
    -3 AS ratio_limit_low_pct, 5 AS ratio_limit_high_pct
FROM ref.measure
WHERE kind = 'muscle';
INSERT INTO stats.training_set BY NAME
SELECT 'synthetic' AS study, 'train' AS role, measure, sex, 35 AS n, 50 AS pct, 50 AS mean, 12 AS sd
FROM ref.measure, cell
WHERE kind = 'covariate';
INSERT INTO stats.exclusion BY NAME
SELECT analysis_set, reason, subject, grouping, category, n, n / 10 AS pct
FROM (SELECT DISTINCT analysis_set FROM cell), (VALUES
    ('any', NULL, 'all', NULL, 700), ('noise_pct', 'image', 'all', NULL, 600), ('missing_slice', NULL, 'all', NULL, 100),
    ('any', NULL, 'sex', 'F', 300), ('any', NULL, 'sex', 'M', 400), ('any', NULL, 'age_band', '60+', 700)
) AS e (reason, subject, grouping, category, n);
INSERT INTO stats.exclusion_regression (analysis_set, term, n, n_excluded, odds_ratio, ci_low, ci_high, p)
SELECT DISTINCT analysis_set, 'sex_male', 30000, 700, 1.02, 0.9, 1.15, 0.7 FROM cell;
INSERT INTO meta.model (model_version, configuration, n_folds, manifest_sha256, card, is_current, promoted_at, scores)
VALUES ('phantom-v2', '3d_fullres', 5, 'abcdef0123456789', '# Card' || chr(10) || 'Phantoms only.', true, NULL, NULL);
INSERT INTO meta.release_log
    (snapshot, release, study, fingerprint, model_version, code_version, software, least_persons, published_at)
VALUES ('20260101T000000Z', 'demo', 'synthetic', 'f00', 'phantom-v2', 'c0de', 'Python 3.11', 10, '2026-01-01 00:00:00');
INSERT INTO meta.data_dictionary BY NAME
SELECT
    schema_name || '.' || table_name AS table_name, column_name, data_type, split_part(comment, '. ', 1) AS label, split_part(comment, '. ', 2) AS details,
    nullif(regexp_extract(comment, '\\[(.+)\\]$', 1), '') AS unit, column_index AS position
FROM duckdb_columns()
WHERE database_name = current_database() AND comment IS NOT NULL;
"""


def write(file: Path) -> None:
    """Write the aggregate file."""
    with duckdb.connect(str(file)) as connection:
        for schema in SCHEMAS:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            for table in sorted((REPOSITORY / "sql" / schema).glob("*.sql")):
                declare(connection, f"{schema}.{table.stem}", table.read_text(encoding="utf-8"))
        connection.execute((REPOSITORY / "sql" / "formulas.sql").read_text(encoding="utf-8"))
        connection.execute(
            ROWS.format(measures=REPOSITORY / "sql/ref/measure.csv", thresholds=REPOSITORY / "sql/ref/threshold.csv")
        )


def publish(file: Path, home: Path, stamp: str, change: str = "") -> None:
    """Publish a copy of the aggregate file, changed by SQL, and switch `current` to it."""
    folder = home / "snapshots" / stamp
    folder.mkdir(parents=True)
    shutil.copy(file, folder / "normative.duckdb")
    if change:
        with duckdb.connect(str(folder / "normative.duckdb")) as connection:
            connection.execute(change)
    fresh = home / "snapshots" / "fresh"
    fresh.symlink_to(stamp)
    os.replace(fresh, home / "snapshots" / "current")


def declare(connection: duckdb.DuckDBPyConnection, table: str, sql: str) -> None:
    """Create a table with its comments; a registry of schema ref is filled from its own SELECT."""
    for statement in connection.extract_statements(sql):
        if statement.type != duckdb.StatementType.SELECT:
            connection.execute(statement)
        elif table.startswith("ref."):
            connection.execute(f"INSERT INTO {table} BY NAME {statement.query}")


@pytest.fixture(autouse=True)
def main_module(monkeypatch):
    """Streamlit puts its script in the place of `__main__`; processes that later tests start would run it."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


@pytest.fixture(scope="session")
def aggregates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the aggregate file that tests publish."""
    file = tmp_path_factory.mktemp("aggregates") / "normative.duckdb"
    write(file)
    return file


@pytest.fixture(scope="session")
def published(aggregates: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a MYONORM_HOME with one snapshot."""
    home = tmp_path_factory.mktemp("home")
    publish(aggregates, home, "20260101T000000Z")
    return home


@pytest.fixture
def home(published: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point the dashboard at the snapshot."""
    monkeypatch.setenv("MYONORM_HOME", str(published))
    return published


@pytest.fixture
def publish_changed(aggregates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that publishes a snapshot changed by SQL and points the dashboard at it."""
    monkeypatch.setenv("MYONORM_HOME", str(tmp_path))

    def changed(change: str, stamp: str = "20260102T000000Z") -> None:
        publish(aggregates, tmp_path, stamp, change)

    return changed


@pytest.fixture
def app() -> AppTest:
    """Return the dashboard, not yet run."""
    return AppTest.from_file(str(REPOSITORY / "dashboard" / "app.py"), default_timeout=30)
