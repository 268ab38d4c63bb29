"""What a reader who keeps an older snapshot can take from a newer one: no difference that rests on fewer than ten persons."""

import shutil
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from dagster_project.publication import publish
from dagster_project.published_rows import TABLES
from dagster_project.republication import restore_memory
from dagster_project.settings import Settings
from dagster_project.withdrawal import COUNT_WITHDRAWN
from models.statistics.synthetic import simulate_cohort, simulate_profiles
from tests.warehouse.cohort import LEVELS, fill_tables, take_in

COHORT = simulate_cohort(11, 420, 430)
PROFILES = simulate_profiles(COHORT, 11, LEVELS)
FORTIES = COHORT.query("sex == 'F' and 40 <= age_years < 50").index
LATE = [*FORTIES[:14], *COHORT.query("sex == 'F' and age_years < 30").index[:4]]
FIRST = COHORT.drop(index=LATE)
KEYS = [
    *("model", "term", "test", "measure", "covariate", "compartment", "side"),
    *("sex", "age_band", "bmi_band", "bmi_group", "bin"),
]
# Adjusted for the other rows of the table, or relative to another row.
OF_OTHERS = {"p_holm", "pct"}


def publish_cohort(home: Path, people: pd.DataFrame, stamp: str, withdrawn: tuple[str, ...] = ()) -> Path:
    """Publish a cohort in a home, remembering what its earlier snapshot published."""
    with duckdb.connect(str(home / "warehouse.duckdb")) as connection:
        profiles = PROFILES[PROFILES["participant_id"].isin(people["participant_id"])]
        take_in(connection, people, profiles, ("csa_psoas_left_cm2", "csa_psoas_right_cm2"))
        restore_memory(connection, home / "snapshots")
        connection.execute(COUNT_WITHDRAWN, {"study": "synthetic", "ids": list(withdrawn)})
        connection.execute(
            "DELETE FROM marts.published_value WHERE list_contains(?, participant_id)", [list(withdrawn)]
        )
        fill_tables(connection)
        return publish(connection, Settings(home=home), stamp)


def read(snapshot: Path, file: str = "normative") -> dict[str, pd.DataFrame]:
    tables = {}
    with duckdb.connect(str(snapshot / f"{file}.duckdb"), read_only=True) as connection:
        for name in TABLES:
            rows = connection.execute(f"FROM {name}").df()
            tables[name] = rows.set_index([key for key in KEYS if key in rows]).sort_index()
    return tables


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Path:
    """The first snapshot: all but fourteen women of 40-49 and four of 18-29."""
    return publish_cohort(tmp_path_factory.mktemp("first"), FIRST, "20260101")


@pytest.fixture
def before(first) -> dict[str, pd.DataFrame]:
    return read(first)


@pytest.fixture
def publish_next(first, tmp_path):
    """Publish people after the first snapshot; returns the second."""

    def run(people: pd.DataFrame, withdrawn: tuple[str, ...] = ()) -> Path:
        shutil.copytree(first.parent, tmp_path / "snapshots", symlinks=True)
        return publish_cohort(tmp_path, people, "20260102", withdrawn)

    return run


def find_differences(before: dict[str, pd.DataFrame], after: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Rows that both show, with other numbers: table, sex, age_band, bmi_band."""
    parts = []
    for name, old in before.items():
        numbers = [column for column in old.select_dtypes("number") if column not in OF_OTHERS]
        both = old.join(after[name], suffixes=("", "_new"))
        both = both[both["n"].notna() & both["n_new"].notna()]
        ours, theirs = both[numbers].to_numpy(float), both[[f"{column}_new" for column in numbers]].to_numpy(float)
        differs = ~np.isclose(ours, theirs, rtol=1e-9, equal_nan=True).all(axis=1)
        parts.append(both[differs].reset_index().assign(table=name))
    return pd.concat(parts)[["table", "sex", "age_band", "bmi_band"]]


def of_women(table: pd.DataFrame) -> pd.DataFrame:
    rows = table.reset_index()
    return rows[rows["sex"] == "F"].assign(suppression=lambda shown: shown["suppression"].fillna(""))


def total_of_women(tables: dict[str, pd.DataFrame], age_band: str | None = None) -> pd.Series:
    rows = of_women(tables["stats.descriptive"]).query("measure == 'csa_psoas_total_cm2'")
    is_band = rows["age_band"].isna() if age_band is None else rows["age_band"] == age_band
    return rows[is_band & rows["bmi_band"].isna()].iloc[0]


def test_one_more_person_changes_no_number_that_both_snapshots_show(before, publish_next):
    """And without the rule hundreds would change: the research file, which knows none, is the other side."""
    snapshot = publish_next(COHORT.loc[[*FIRST.index, FORTIES[0]]])
    after = read(snapshot)
    assert find_differences(before, after).empty
    assert len(find_differences(before, read(snapshot, "research"))) > 200
    for name in TABLES:
        assert of_women(after[name])["suppression"].str.startswith("unchanged since 20260101").any(), name
        men = after[name].reset_index().query("sex == 'M'")["suppression"].fillna("")
        assert not men.str.startswith(("unchanged", "withheld")).any(), name
    assert total_of_women(after)["n"] == 402


def test_differences_rest_on_at_least_ten_persons_in_every_table(before, publish_next):
    """Fourteen women of 40-49 and four of 18-29 come: totals and the band of the fourteen are shown anew, that of the four is not."""
    after = read(publish_next(COHORT))
    found = find_differences(before, after)
    assert set(found["table"]) == set(TABLES) and set(found["sex"].dropna()) == {"F"}
    assert set(found["age_band"].dropna()) == {"40-49"} and found["age_band"].isna().any()
    assert total_of_women(after)["n"] == 420 and total_of_women(after, "40-49")["n"] == len(FORTIES)
    assert total_of_women(after, "18-29")["suppression"].startswith("unchanged since 20260101")


def test_a_corrected_value_counts_as_a_change_of_what_rests_on_it(before, publish_next):
    """One woman's weight: what rests on weight or BMI stays as it was; in her muscles' own totals nothing changed."""
    corrected = FIRST.copy()
    corrected.loc[FORTIES[20], "weight_kg"] += 0.1
    after = read(publish_next(corrected))
    assert find_differences(before, after).empty
    rows = of_women(after["stats.correlation"])
    is_kept = rows["suppression"].str.startswith("unchanged since").groupby(rows["covariate"]).agg(["all", "any"])
    assert is_kept["all"].to_dict() == is_kept["any"].to_dict()
    assert is_kept["any"].to_dict() == {"age_years": False, "height_cm": False, "weight_kg": True, "bmi_kg_m2": True}
    assert total_of_women(after)["suppression"] == ""


def test_after_a_withdrawal_what_the_person_was_in_is_withheld(before, publish_next):
    gone = FIRST.loc[FORTIES[20]]
    after = read(publish_next(FIRST.drop(index=gone.name), (gone["participant_id"],)))
    assert find_differences(before, after).empty
    withheld = "withheld (fewer than 10 persons changed)"
    assert total_of_women(after)["suppression"] == total_of_women(after, "40-49")["suppression"] == withheld
    assert total_of_women(after, "50-59")["suppression"] == ""
    for name in ("stats.correlation", "stats.regression", "stats.regression_test", "stats.regression_fit"):
        assert set(of_women(after[name])["suppression"]) == {withheld}, name
        assert after[name].reset_index().query("sex == 'M'")["n"].notna().all(), name
