"""What changed behind each published row since it was last shown, and what follows for the next snapshot.

What belongs here: the memory of published persons' sets (marts.published_cell, marts.published_value), counting changes,
keeping or withholding. The rule itself is `models.statistics.disclosure.decide_republication`.
"""

from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from dagster_project.published_rows import BANDS, TABLES, name_cells
from dagster_project.warehouse import transaction
from models.statistics.disclosure import WITHHELD, decide_republication

KEYS = ["measures", *BANDS]
CURRENT = """
    CREATE OR REPLACE TEMP TABLE current_value AS
    SELECT analysis_set, study, participant_id, measure, value, sex, age_band, bmi_band
    FROM marts.analysed_person JOIN marts.phenotype_value USING (study, participant_id, visit, source, model_version)
    UNION ALL
    SELECT
        analysis_set, study, participant_id, 'profile ' || compartment || ' ' || side,
        sum((1e4 * csa_cm2)::BIGINT * (slice_index + 1))::DOUBLE, any_value(sex), any_value(age_band), any_value(bmi_group)
    FROM marts.analysed_person JOIN imaging.csa_profile USING (study, participant_id, visit, model_version)
    GROUP BY ALL
    UNION ALL
    SELECT analysis_set, study, participant_id, name, (hash(text) % 1000000000)::DOUBLE, sex, age_band, bmi_band
    FROM (UNPIVOT (SELECT *, sex AS of_sex FROM marts.analysed_person) ON of_sex AS sex, centre INTO NAME name VALUE text)
"""
# Names a person may have, numbered: sets of them are bit strings.
NAMES = """
    CREATE OR REPLACE TEMP TABLE name AS
    SELECT measure, (row_number() OVER (ORDER BY measure) - 1)::INTEGER AS position
    FROM (
        SELECT measure FROM marts.published_value UNION SELECT measure FROM current_value
        UNION SELECT unnest(string_split(measures, ' + ')) FROM marts.published_cell
    )
"""
# Persons who differ from what was behind a snapshot, grouped by all that decides which sets they left, entered or changed.
CHANGE = """
    CREATE OR REPLACE TEMP TABLE change AS
    WITH old AS (
        SELECT * FROM marts.published_value WHERE since <= $snapshot AND (until IS NULL OR until > $snapshot)
    ), value AS (
        SELECT
            study, participant_id, position, old.value IS NOT NULL AS was, now.value IS NOT NULL AS is_now,
            old.value IS DISTINCT FROM now.value AS has_other_value,
            (old.sex, old.age_band, old.bmi_band) IS DISTINCT FROM (now.sex, now.age_band, now.bmi_band) AS has_other_bands,
            old.sex AS old_sex, old.age_band AS old_age, old.bmi_band AS old_bmi, now.sex, now.age_band, now.bmi_band
        FROM old FULL JOIN current_value AS now USING (study, participant_id, measure) JOIN name USING (measure)
    ), person AS (
        SELECT
            bitstring_agg(position, 0, {last}) FILTER (was) AS had, bitstring_agg(position, 0, {last}) FILTER (is_now) AS has,
            bitstring_agg(position, 0, {last}) FILTER (has_other_value) AS differs,
            any_value(old_sex) AS old_sex, any_value(old_age) AS old_age, list_sort(list(DISTINCT old_bmi)) AS old_bmi,
            any_value(sex) AS sex, any_value(age_band) AS age_band, list_sort(list(DISTINCT bmi_band)) AS bmi_band
        FROM value
        GROUP BY study, participant_id
        HAVING bool_or(has_other_value OR has_other_bands)
    )
    SELECT *, count(*) AS n FROM person GROUP BY ALL
"""
COUNT_CHANGED = """
    WITH cell AS (
        SELECT
            published.rowid AS id, any_value(published) AS cell, bitstring_agg(position, 0, {last}) AS needs
        FROM marts.published_cell AS published, unnest(string_split(measures, ' + ')) AS need (measure)
        JOIN name USING (measure)
        WHERE snapshot = $snapshot
        GROUP BY published.rowid
    ), membership AS (
        SELECT
            id, change.n, coalesce(bit_count(differs & needs) > 0, false) AS is_other,
            coalesce(
                had & needs = needs AND (cell.sex IS NULL OR cell.sex = old_sex)
                    AND (cell.age_band IS NULL OR cell.age_band = old_age) AND (cell.bmi_band IS NULL OR list_contains(old_bmi, cell.bmi_band)),
                false
            ) AS was_in,
            coalesce(
                has & needs = needs AND (cell.sex IS NULL OR cell.sex = change.sex)
                    AND (cell.age_band IS NULL OR cell.age_band = change.age_band) AND (cell.bmi_band IS NULL OR list_contains(change.bmi_band, cell.bmi_band)),
                false
            ) AS is_in
        FROM cell CROSS JOIN change
    ), changed AS (
        SELECT id, sum(n) AS n FROM membership WHERE was_in <> is_in OR (was_in AND is_other) GROUP BY id
    )
    SELECT measures, sex, age_band, bmi_band, coalesce(n, 0)::INTEGER AS n_changed, n_withdrawn
    FROM marts.published_cell AS published LEFT JOIN changed ON id = published.rowid
    WHERE snapshot = $snapshot
"""
REMEMBER = """
    UPDATE marts.published_value AS old SET until = $stamp
    WHERE until IS NULL AND NOT EXISTS (
        FROM current_value AS now
        WHERE (now.study, now.participant_id, now.measure) = (old.study, old.participant_id, old.measure)
            AND (now.value, now.sex, now.age_band, now.bmi_band) IS NOT DISTINCT FROM (old.value, old.sex, old.age_band, old.bmi_band)
    );
    INSERT INTO marts.published_value BY NAME
    SELECT *, $stamp AS since
    FROM current_value ANTI JOIN (FROM marts.published_value WHERE until IS NULL) AS old USING (study, participant_id, measure);
    DELETE FROM marts.published_value WHERE until <= (SELECT min(snapshot) FROM marts.published_cell);
"""


@dataclass(frozen=True)
class Republication:
    """Decision per persons' set (`show` where absent), the models' terms, and the file of the snapshot before."""

    decisions: dict[tuple, str]
    models: dict[str, str]
    previous: Path | None
    least: int

    def is_held_back(self, table: str, rows: pd.DataFrame) -> np.ndarray:
        """Which rows may not be shown anew."""
        return self._decide(table, rows) != "show"

    def replace_held_back(self, table: str, shown: pd.DataFrame) -> pd.DataFrame:
        """Put the old rows in place of those that are kept, and say which are withheld."""
        decision = self._decide(table, shown)
        reason = shown["suppression"].mask(decision != "show", WITHHELD.format(least=self.least))
        shown = shown.assign(suppression=reason)
        if not self.previous or not (decision == "keep").any():
            return shown
        with duckdb.connect(str(self.previous), read_only=True) as snapshot:
            old = snapshot.execute(f"FROM {table}").df()
        old = old[(self._decide(table, old) == "keep") & old["n"].notna()]
        unchanged = f"unchanged since {self.previous.parent.name} (fewer than {self.least} persons changed)"
        old = old.assign(suppression=old["suppression"].fillna(unchanged), n=old["n"].astype("Int64"))
        there = set(name_cells(table, old, self.models))
        is_replaced = [cell in there for cell in name_cells(table, shown, self.models)]
        return pd.concat(
            [shown[~np.array(is_replaced, dtype=bool)], old.reindex(columns=shown.columns)], ignore_index=True
        )

    def remember(self, connection: duckdb.DuckDBPyConnection, shown: dict[str, pd.DataFrame], stamp: str) -> None:
        """Note which persons' sets the snapshot shows anew, and the people behind them. Before it is written."""
        cells = {
            cell
            for table in TABLES
            for cell in name_cells(table, shown[table][shown[table]["n"].notna()], self.models)
            if self.decisions.get(cell, "show") == "show"
        }
        frame = pd.DataFrame(sorted(cells, key=str), columns=KEYS, dtype=object)
        connection.register("shown_cell", frame.astype(str).where(frame.notna(), None))
        with transaction(connection):
            connection.execute(
                "DELETE FROM marts.published_cell AS cell USING shown_cell AS new"
                " WHERE (cell.measures, cell.sex, cell.age_band, cell.bmi_band) IS NOT DISTINCT FROM (new.measures, new.sex, new.age_band, new.bmi_band)"
            )
            connection.execute(
                "INSERT INTO marts.published_cell SELECT measures, sex, age_band, bmi_band, $stamp, 0 FROM shown_cell",
                {"stamp": stamp},
            )
            for statement in REMEMBER.strip().rstrip(";").split(";\n"):
                connection.execute(statement, {"stamp": stamp} if "$stamp" in statement else None)
        connection.unregister("shown_cell")

    def _decide(self, table: str, rows: pd.DataFrame) -> np.ndarray:
        cells = name_cells(table, rows, self.models)
        return np.array([self.decisions.get(cell, "show") for cell in cells], dtype=object)


def compare_with_published(connection: duckdb.DuckDBPyConnection, previous: Path | None, least: int) -> Republication:
    """Count the persons that changed behind every published row, and decide. Another analysis set starts anew."""
    connection.execute(CURRENT)
    connection.execute(
        "DELETE FROM marts.published_cell WHERE EXISTS (FROM marts.published_value WHERE analysis_set NOT IN (SELECT analysis_set FROM ref.analysis_set))"
    )
    connection.execute(
        "DELETE FROM marts.published_value WHERE analysis_set NOT IN (SELECT analysis_set FROM ref.analysis_set)"
    )
    connection.execute(NAMES)
    (last,) = connection.execute("SELECT max(position) FROM name").fetchone()
    decisions = {}
    for (snapshot,) in connection.execute("SELECT DISTINCT snapshot FROM marts.published_cell").fetchall():
        connection.execute(CHANGE.format(last=last), {"snapshot": snapshot})
        counts = connection.execute(COUNT_CHANGED.format(last=last), {"snapshot": snapshot}).fetchall()
        for *cell, n_changed, n_withdrawn in counts:
            decisions[tuple(cell)] = decide_republication(n_changed, n_withdrawn, least)
    models = dict(connection.execute("SELECT model, terms FROM ref.regression_model").fetchall())
    return Republication(decisions, models, previous, least)


def restore_memory(connection: duckdb.DuckDBPyConnection, snapshots: Path) -> bool:
    """Take the memory of published cells from the current snapshot into a warehouse that has none; returns whether it did."""
    path = (snapshots / "current").resolve() / "research.duckdb"
    if not path.is_file() or connection.execute("SELECT count(*) FROM marts.published_cell").fetchone()[0]:
        return False
    literal = str(path).replace("'", "''")
    connection.execute(f"ATTACH '{literal}' AS published (READ_ONLY)")
    try:
        with transaction(connection):
            for table in ("marts.published_cell", "marts.published_value"):
                connection.execute(f"INSERT INTO {table} BY NAME FROM published.{table}")
    except duckdb.BinderException:
        # The snapshot is of a version that kept no memory, or another one.
        return False
    finally:
        connection.execute("DETACH published")
    return True
