"""What changed in each banded cell since it was last shown, and what follows for the next snapshot.

What belongs here: the memory of published cells (marts.published_cell, marts.published_value), counting changes, keeping or
withholding. The rule itself is `models.statistics.disclosure.decide_republication`.
"""

from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from dagster_project.warehouse import transaction
from models.statistics.disclosure import WITHHELD, decide_republication

KEYS = ["measure", "sex", "age_band", "bmi_band"]
BANDED = ("stats.descriptive", "stats.band_percentile", "stats.profile", "stats.profile_maximum")
CURRENT = """
    CREATE OR REPLACE TEMP TABLE current_value AS
    WITH person AS (
        SELECT
            analysis_set, study, participant_id, visit, source, model_version, sex, age_band, bmi_band,
            (SELECT band FROM ref.band WHERE kind = 'bmi_group' AND bmi_kg_m2 > lower AND bmi_kg_m2 <= upper) AS bmi_group
        FROM marts.muscle_phenotype
        JOIN ref.analysis_set USING (study, source, model_version)
        WHERE is_first_visit
    )
    SELECT analysis_set, study, participant_id, measure, value, sex, age_band, bmi_band
    FROM person JOIN marts.phenotype_value USING (study, participant_id, visit, source, model_version)
    UNION ALL
    SELECT
        analysis_set, study, participant_id, 'profile ' || compartment || ' ' || side,
        sum((1e4 * csa_cm2)::BIGINT * (slice_index + 1))::DOUBLE, any_value(sex), any_value(age_band), any_value(bmi_group)
    FROM person JOIN imaging.csa_profile USING (study, participant_id, visit, model_version)
    GROUP BY ALL
"""
CHANGED = """
    WITH old AS (
        SELECT * FROM marts.published_value WHERE since <= $snapshot AND (until IS NULL OR until > $snapshot)
    ), change AS (
        SELECT
            measure, old.participant_id IS NOT NULL AS was, now.participant_id IS NOT NULL AS is_now,
            old.value IS DISTINCT FROM now.value AS has_other_value,
            old.sex AS old_sex, old.age_band AS old_age, old.bmi_band AS old_bmi, now.sex, now.age_band, now.bmi_band
        FROM old FULL JOIN current_value AS now USING (study, participant_id, measure)
        WHERE (old.value, old.sex, old.age_band, old.bmi_band) IS DISTINCT FROM (now.value, now.sex, now.age_band, now.bmi_band)
    ), membership AS (
        SELECT
            cell.rowid AS cell, has_other_value,
            was AND coalesce(cell.sex = old_sex, cell.sex IS NULL) AND coalesce(cell.age_band = old_age, cell.age_band IS NULL)
                AND coalesce(cell.bmi_band = old_bmi, cell.bmi_band IS NULL) AS was_in,
            is_now AND coalesce(cell.sex = change.sex, cell.sex IS NULL) AND coalesce(cell.age_band = change.age_band, cell.age_band IS NULL)
                AND coalesce(cell.bmi_band = change.bmi_band, cell.bmi_band IS NULL) AS is_in
        FROM marts.published_cell AS cell
        JOIN change USING (measure)
        WHERE cell.snapshot = $snapshot
    ), changed AS (
        SELECT cell, count(*) AS n FROM membership WHERE was_in <> is_in OR (was_in AND has_other_value) GROUP BY ALL
    )
    SELECT measure, sex, age_band, bmi_band, coalesce(n, 0) AS n_changed, n_withdrawn
    FROM marts.published_cell AS cell LEFT JOIN changed ON cell = cell.rowid
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
    """Decision per banded cell (`show` where absent), and the rows of the snapshot before."""

    decisions: dict[tuple, str]
    previous: Path | None
    least: int

    def is_held_back(self, table: str, rows: pd.DataFrame) -> np.ndarray:
        """Which rows may not be shown anew."""
        return np.array([self.decisions.get(key, "show") != "show" for key in _keys(table, rows)], dtype=bool)

    def replace_held_back(self, table: str, raw: pd.DataFrame, shown: pd.DataFrame) -> pd.DataFrame:
        """Say which rows are withheld, and put the old numbers in place of those that are kept."""
        if not self.decisions or table not in BANDED:
            return shown
        decision = pd.Series([self.decisions.get(key, "show") for key in _keys(table, raw)], index=shown.index)
        shown = shown.assign(
            suppression=shown["suppression"].mask(decision == "withhold", WITHHELD.format(least=self.least))
        )
        if not self.previous or not (decision == "keep").any():
            return shown
        with duckdb.connect(str(self.previous), read_only=True) as snapshot:
            old = snapshot.execute(f"FROM {table}").df()
        keys = [
            key
            for key in (
                "analysis_set",
                "measure",
                "compartment",
                "side",
                "sex",
                "age_band",
                "bmi_band",
                "bmi_group",
                "bin",
            )
            if key in shown
        ]
        kept = old.merge(shown.loc[decision == "keep", keys], on=keys)
        kept = kept[kept["n"].notna()].assign(
            suppression=lambda rows: (
                "unchanged since " + self.previous.parent.name + f" (fewer than {self.least} persons changed)"
            )
        )
        is_kept = shown[keys].merge(kept[keys], on=keys, how="left", indicator=True)["_merge"].eq("both").to_numpy()
        return pd.concat([shown[~is_kept], kept[shown.columns].astype({"n": "Int64"})], ignore_index=True)

    def remember(self, connection: duckdb.DuckDBPyConnection, shown: dict[str, pd.DataFrame], stamp: str) -> None:
        """Note which cells the snapshot shows anew, and the people behind them. Before it is written."""
        cells = {
            key
            for table in BANDED
            for key in _keys(table, shown[table][shown[table]["n"].notna()])
            if self.decisions.get(key, "show") == "show" and (key[2] or key[3])
        }
        frame = pd.DataFrame(sorted(cells, key=str), columns=KEYS, dtype=object)
        connection.register("shown_cell", frame.astype(str).where(frame.notna(), None))
        with transaction(connection):
            connection.execute(
                "DELETE FROM marts.published_cell AS cell USING shown_cell AS new"
                " WHERE (cell.measure, cell.sex, cell.age_band, cell.bmi_band) IS NOT DISTINCT FROM (new.measure, new.sex, new.age_band, new.bmi_band)"
            )
            connection.execute(
                "INSERT INTO marts.published_cell SELECT measure, sex, age_band, bmi_band, $stamp, 0 FROM shown_cell",
                {"stamp": stamp},
            )
            for statement in REMEMBER.strip().rstrip(";").split(";\n"):
                connection.execute(statement, {"stamp": stamp} if "$stamp" in statement else None)
        connection.unregister("shown_cell")


def compare_with_published(connection: duckdb.DuckDBPyConnection, previous: Path | None, least: int) -> Republication:
    """Count in every published cell the persons that changed since, and decide. Another analysis set starts anew."""
    connection.execute(CURRENT)
    connection.execute(
        "DELETE FROM marts.published_cell WHERE EXISTS (FROM marts.published_value WHERE analysis_set NOT IN (SELECT analysis_set FROM ref.analysis_set))"
    )
    connection.execute(
        "DELETE FROM marts.published_value WHERE analysis_set NOT IN (SELECT analysis_set FROM ref.analysis_set)"
    )
    decisions = {}
    for (snapshot,) in connection.execute("SELECT DISTINCT snapshot FROM marts.published_cell").fetchall():
        for *key, n_changed, n_withdrawn in connection.execute(CHANGED, {"snapshot": snapshot}).fetchall():
            decisions[tuple(key)] = decide_republication(n_changed, n_withdrawn, least)
    return Republication(decisions, previous, least)


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


def _keys(table: str, rows: pd.DataFrame) -> list[tuple]:
    """Each row's cell; a table without bands has none that is remembered."""
    if table not in BANDED:
        return [("", None, None, None)] * len(rows)
    if "compartment" in rows:
        rows = rows.assign(measure="profile " + rows["compartment"] + " " + rows["side"], bmi_band=rows["bmi_group"])
    keys = rows[KEYS].astype(object)
    return list(keys.where(keys.notna(), None).itertuples(index=False, name=None))
