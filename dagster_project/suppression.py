"""What of the warehouse's statistics the aggregate file may show.

What belongs here: which rule holds for which table, and that all tables about the same persons are decided together. The
rules are those of `models.statistics.disclosure`; who stands behind a row is told by `published_rows.py`, comparing with
earlier snapshots is the work of `republication.py`.
"""

import duckdb
import numpy as np
import pandas as pd

from dagster_project.catalog import compile_catalog
from dagster_project.published_rows import BANDS, TABLES, list_needs
from dagster_project.republication import Republication
from dagster_project.statistics_input import RANKED, read_values
from models.statistics import disclosure
from models.statistics.descriptive import count_beyond

# Tables that stand alone -> keys along which nothing is summed, keys along which cells add up to a total.
MARGINS = {"stats.training_set": (["study", "role", "measure"], ["sex"])}
COUNTS = {"norms.lms": "n_near", "norms.centile_model": "n", "norms.q_statistic": "n", "norms.pinball_loss": "n"}
# Shares and quantiles of persons: shown only where enough lie beyond them. Table -> keys of its model, keys of its cells.
TAILS = {
    "norms.worm": (["measure", "sex", "covariates", "z"], ["age_band"]),
    "norms.coverage": (["measure", "sex", "covariates", "centile"], ["age_band", "bmi_band"]),
}
TAIL_STATISTICS = ("n", "observed_pct", "deviation", "ci_low", "ci_high", "p", "p_holm")
SHIFT = "norms.shift"
# Computed in the aggregate file itself, from what is shown there.
DERIVED = ("stats.sex_difference",)
GROUPS = """
    WITH has AS (
        SELECT study, participant_id, measure AS name FROM marts.phenotype_value SEMI JOIN marts.analysed_person USING (study, participant_id, visit, source, model_version)
        UNION ALL
        SELECT DISTINCT study, participant_id, 'profile ' || compartment || ' ' || side
        FROM imaging.csa_profile SEMI JOIN marts.analysed_person USING (study, participant_id, visit, model_version)
        UNION ALL
        SELECT study, participant_id, 'sex' FROM marts.analysed_person WHERE sex IS NOT NULL
        UNION ALL
        SELECT study, participant_id, 'centre' FROM marts.analysed_person WHERE centre IS NOT NULL
    ), available AS (
        SELECT study, participant_id, list(name ORDER BY name) AS available FROM has GROUP BY ALL
    )
    SELECT sex, age_band, bmi_band, bmi_group, available, count(*) AS n
    FROM marts.analysed_person JOIN available USING (study, participant_id)
    GROUP BY ALL
    ORDER BY ALL
"""


def suppress_tables(
    connection: duckdb.DuckDBPyConnection, least: int, republication: Republication
) -> dict[str, pd.DataFrame]:
    """The rows of every table with counts as the aggregate file shows them, by full name of the table."""
    shown = _suppress_cells(connection, least, republication)
    for name, table in compile_catalog().tables.items():
        columns = {column.name for column in table.columns}
        has_counts = name.startswith("stats.") and "n" in columns
        if name in shown or name in DERIVED or not (has_counts or name in {*COUNTS, *TAILS, SHIFT}):
            continue
        frame = connection.execute(f"FROM {name}").df()
        if name == "stats.participant_flow":
            shown[name] = suppress_flow(frame, least)
        elif name in MARGINS:
            within, margins = MARGINS[name]
            shown[name] = disclosure.suppress_complements(frame, least, _statistics(name), within, margins)
        elif name in TAILS:
            within, margins = TAILS[name]
            statistics = [column for column in TAIL_STATISTICS if column in frame]
            counted = frame.assign(n=frame["n"].astype("Int64"))
            shown[name] = disclosure.suppress_complements(counted, least, statistics, within, margins, n="n_beyond")
        elif name == SHIFT:
            n_left_out = frame["n_left_out"].astype("Int64")
            shown[name] = frame.assign(n_left_out=n_left_out.where(n_left_out >= least))
        else:
            statistics = _statistics(name) if name not in COUNTS else []
            beyond = _count_beyond_quartiles(frame["n"]) if "p50" in statistics else None
            shown[name] = disclosure.suppress(frame, least, statistics, COUNTS.get(name, "n"), beyond=beyond)
    return shown


def _count_beyond_quartiles(n: pd.Series) -> pd.DataFrame:
    """Persons on the smaller side of each quartile (type 7) among n different values."""
    places = {f"p{percent}": (n - 1) * percent / 100 for percent in (25, 50, 75)}
    return pd.DataFrame(
        {column: np.minimum(np.ceil(place), n - 1 - np.floor(place)) for column, place in places.items()}
    )


def _suppress_cells(
    connection: duckdb.DuckDBPyConnection, least: int, republication: Republication
) -> dict[str, pd.DataFrame]:
    frames = {name: connection.execute(f"FROM {name}").df() for name in TABLES}
    groups = connection.execute(GROUPS).df()
    groups["available"] = [frozenset(names) for names in groups["available"]]
    counts = groups["n"].to_numpy(float)
    contents = {
        name: disclosure.cover(frame, groups, TABLES[name], list_needs(frame, republication.models))
        for name, frame in frames.items()
    }
    everything = np.vstack(list(contents.values()))
    persons = pd.concat([frame["n"] for frame in frames.values()]).to_numpy(float)
    forced = np.concatenate([republication.is_held_back(name, frame) for name, frame in frames.items()])
    forced |= everything @ counts != persons
    price = np.concatenate([disclosure.price(frame, TABLES[name]) for name, frame in frames.items()])
    hidden = disclosure.find_hidden(everything, counts, least, hidden=forced, cost=price)
    hidden = _protect_missing_bands(frames["stats.descriptive"], groups, everything, hidden, least, price)
    shown, start = {}, 0
    for name, frame in frames.items():
        of_table = hidden[start : start + len(frame)]
        start += len(frame)
        beyond = count_beyond(read_values(connection, *RANKED), frame) if name == "stats.band_percentile" else None
        rows = disclosure.suppress(frame, least, _statistics(name), hidden=of_table, beyond=beyond)
        if name == "stats.descriptive":
            rows["pct"] = rows["pct"].mask(~_has_shown_whole(rows))
        shown[name] = republication.replace_held_back(name, rows)
    return shown


def _protect_missing_bands(
    descriptive: pd.DataFrame,
    groups: pd.DataFrame,
    everything: np.ndarray,
    hidden: np.ndarray,
    least: int,
    price: np.ndarray,
) -> np.ndarray:
    """Hide more, so that few persons without a band do not follow from the sums of one measure; rows of equal persons go together."""
    keys = disclosure.every_cell(disclosure.name_missing(groups, BANDS), BANDS)
    counts = groups["n"].to_numpy(float)
    done = set()
    for measure, rows in descriptive.groupby("measure"):
        of_measure = groups["available"].map(lambda available, measure=measure: measure in available).to_numpy(bool)
        if of_measure.tobytes() in done:
            continue
        done.add(of_measure.tobytes())
        sensitive = disclosure.cover(
            keys, disclosure.name_missing(groups, BANDS), BANDS, [frozenset({measure})] * len(keys)
        )
        index = rows.index.to_numpy()
        more = disclosure.find_hidden(everything[index], counts, least, sensitive, hidden[index], price[index])
        newly = np.unique(everything[index[more & ~hidden[index]]], axis=0)
        for vector in newly:
            hidden = hidden | (everything == vector).all(axis=1)
    return hidden


def _statistics(name: str) -> list[str]:
    return [
        column.name
        for column in compile_catalog().tables[name].columns
        if column.data_type in ("DOUBLE", "FLOAT") or column.name == "strength"
    ]


def _has_shown_whole(rows: pd.DataFrame) -> pd.Series:
    """Whether the row that a share is of is shown: n and the share would give its count."""
    is_banded = rows[["age_band", "bmi_band"]].notna().any(axis=1)
    whole = rows[~is_banded].set_index(["analysis_set", "measure", rows.loc[~is_banded, "sex"].fillna("")])["n"].notna()
    of = pd.MultiIndex.from_arrays([rows["analysis_set"], rows["measure"], rows["sex"].fillna("").where(is_banded, "")])
    return pd.Series(whole.reindex(of).fillna(False).to_numpy(bool), index=rows.index)


def suppress_flow(flow: pd.DataFrame, least: int) -> pd.DataFrame:
    """The participant flow without small counts and without those that would give them back.

    Small exclusions of a step hide one another where they can; else the counts of the earliest steps go first.
    """
    hidden = pd.Series(False, index=flow.index)
    for _, part in flow.groupby(["study", "source", "model_version"]):
        is_left = part["reason"].isna().to_numpy()
        position = part["position"].to_numpy()
        reasons = np.flatnonzero(~is_left)
        last = int(np.flatnonzero(is_left)[np.argmax(position[is_left])])
        contents = np.zeros((len(part), len(reasons) + 1), dtype=bool)
        contents[is_left, -1] = True
        contents[reasons, np.arange(len(reasons))] = True
        contents[np.ix_(is_left, np.arange(len(reasons)))] = position[reasons][None] > position[is_left][:, None]
        counts = np.append(part["n"].to_numpy(float)[reasons], part["n"].iloc[last])
        cost = np.where(is_left, 1e9 * (1 + position), part["n"])
        hidden[part.index] = disclosure.find_hidden(contents, counts, least, cost=cost)
    return disclosure.suppress(flow, least, [], hidden=hidden.to_numpy())
