"""What a publication changed: visits added, changed and dropped by release, and how the published numbers moved.

What belongs here: comparing with the publication before. Nothing here counts fewer persons than may be shown.
"""

from pathlib import Path

import duckdb
import pandas as pd

VISIT = ["study", "participant_id", "visit", "source", "model_version"]
ANALYSED = """
    WITH origin AS (
        SELECT DISTINCT study, participant_id, visit, 'measured' AS source, model_version, release FROM imaging.muscle
        UNION
        SELECT DISTINCT study, participant_id, visit, 'imported', 'imported', release FROM raw.current_measurement
    )
    SELECT study, participant_id, visit, source, model_version, release, md5(to_json(phenotype)::VARCHAR) AS content
    FROM marts.muscle_phenotype AS phenotype
    JOIN origin USING (study, participant_id, visit, source, model_version)
"""
# What tells the cells of a published table apart; its other numbers are compared.
CELLS = {
    "stats.descriptive": ["measure", "sex", "age_band", "bmi_band"],
    "stats.band_percentile": ["measure", "sex", "age_band", "bmi_band"],
    "stats.correlation": ["measure", "covariate", "sex"],
    "stats.regression": ["model", "measure", "sex", "term"],
    "stats.sex_difference": ["measure", "age_band", "bmi_band"],
    "stats.profile": ["compartment", "side", "sex", "age_band", "bmi_group", "bin"],
    "stats.profile_maximum": ["compartment", "side", "sex", "age_band", "bmi_group"],
    "stats.segmentation_score": [
        "model_version",
        "comparison",
        "validation",
        "compartment",
        "side",
        "metric",
        "sex",
        "size_third",
    ],
    "stats.agreement": ["study", "model_version", "validation", "measure"],
    "norms.lms": ["measure", "sex", "age_years", "bmi_kg_m2"],
    "norms.centile": ["measure", "sex", "age_years", "bmi_kg_m2", "centile"],
}
SUMMED_ANEW = 1e-9  # sums of floats differ by their order


def count_changes(connection: duckdb.DuckDBPyConnection, former: Path | None, least: int) -> pd.DataFrame:
    """Analysed visits by release: n_added, n_changed, n_dropped since the research file `former`; NULL from 1 to `least` - 1."""
    now = connection.execute(ANALYSED).df()
    before = _read(former, ANALYSED)
    if before is None:
        before = now.iloc[:0]
    both = before.merge(now, on=VISIT, how="outer", suffixes=("_before", ""), indicator="side")
    is_changed = (both["content_before"] != both["content"]) | (both["release_before"] != both["release"])
    counts = {
        "n_added": both.loc[both["side"] == "right_only", "release"].value_counts(),
        "n_changed": both.loc[(both["side"] == "both") & is_changed, "release"].value_counts(),
        "n_dropped": both.loc[both["side"] == "left_only", "release_before"].value_counts(),
    }
    releases = [name for (name,) in connection.execute("SELECT release FROM raw.release").fetchall()]
    table = pd.DataFrame({name: series.reindex(releases, fill_value=0) for name, series in counts.items()}).astype(
        "Int64"
    )
    return table.mask((table > 0) & (table < least)).rename_axis("release").reset_index()


def compare_published(fresh: Path, former: Path | None) -> pd.DataFrame:
    """Rows of meta.published_change, without snapshot, from two aggregate files; none where there is no former one."""
    rows = []
    for table, cell in CELLS.items() if former else ():
        now, before = _read(fresh, f"FROM {table}"), _read(former, f"FROM {table}")
        if before is None or not set(cell) <= set(before):
            continue
        both = before.merge(now, on=cell, how="outer", suffixes=("_before", "_now"))
        numbers = [name for name in now.select_dtypes("floating") if name not in cell and name in before]
        rows += [row for row in (_compare(both, table, name, cell) for name in numbers) if row]
    return pd.DataFrame(rows).assign(former=former and former.parent.name)


def _compare(both: pd.DataFrame, table: str, column: str, cell: list[str]) -> dict | None:
    before, now = both[f"{column}_before"], both[f"{column}_now"]
    change = (now - before).where((now - before).abs() > SUMMED_ANEW * before.abs())
    counts = {
        "n_new": int((before.isna() & now.notna()).sum()),
        "n_gone": int((before.notna() & now.isna()).sum()),
        "n_moved": int(change.notna().sum()),
    }
    if not any(counts.values()):
        return None
    row = {"table_name": table, "column_name": column, **counts}
    if counts["n_moved"]:
        largest = both.loc[change.abs().idxmax()]
        where = [f"{name} {largest[name]}" for name in cell if pd.notna(largest[name])]
        row |= {"largest_change": float(change[largest.name]), "cell": ", ".join(where)}
        row |= {"former_value": float(before[largest.name]), "value": float(now[largest.name])}
    return row


def restore_log(connection: duckdb.DuckDBPyConnection, former: Path | None) -> None:
    """Take the log from the research file `former` into a warehouse that has none (one that was built anew)."""
    if not former or connection.execute("SELECT count(*) FROM meta.release_log").fetchone()[0]:
        return
    for table in ("meta.release_log", "meta.published_change"):
        rows = _read(former, f"FROM {table}")
        known = [name for name, *_ in connection.execute(f"DESCRIBE {table}").fetchall()]
        if rows is not None and len(rows):
            connection.register("earlier", rows[[name for name in known if name in rows]])
            connection.execute(f"INSERT INTO {table} BY NAME FROM earlier")
            connection.unregister("earlier")


def _read(file: Path | None, query: str) -> pd.DataFrame | None:
    """Rows of a published file; None where there is none, or it is of a version without such a table."""
    if not file or not file.is_file():
        return None
    with duckdb.connect(str(file), read_only=True) as connection:
        try:
            return connection.execute(query).df()
        except duckdb.Error:
            return None
