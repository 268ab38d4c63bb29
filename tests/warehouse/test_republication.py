"""What a reader who keeps an older snapshot can take from a newer one: no difference that rests on fewer than ten persons."""

import itertools
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
AGE_BANDS = ["18-29", "30-39", "40-49", "50-59", "60+"]
BMI_BANDS = ["<18.5", "18.5-25", "25-30", "30-35", "35-40", ">=40"]
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


def list_groups(snapshot: Path) -> pd.DataFrame:
    """The smallest groups of persons that any table tells apart, with their size; missing bands are the text `missing`."""
    with duckdb.connect(str(snapshot / "research.duckdb"), read_only=True) as connection:
        people = connection.execute(
            "SELECT sex, age_band, bmi_band, bmi_group, height_cm IS NOT NULL AS height_cm, weight_kg IS NOT NULL AS weight_kg,"
            " bmi_kg_m2 IS NOT NULL AS bmi_kg_m2, centre IS NOT NULL AS centre FROM marts.analysed_person"
        ).df()
    return people.fillna("missing").value_counts().reset_index(name="size")


def who(row: dict, groups: pd.DataFrame) -> np.ndarray:
    """Which groups a published row is about, told from its keys alone."""
    inside = np.ones(len(groups), dtype=bool)
    for key in ("sex", "age_band", "bmi_band", "bmi_group"):
        inside &= (groups[key] == row[key]).to_numpy() if pd.notna(row.get(key)) else True
    text = f"{row.get('measure')} {row.get('covariate')} {row.get('terms')}".replace("per_height2", "height_cm")
    for name in ("height_cm", "weight_kg", "bmi_kg_m2", "centre"):
        inside &= groups[name].to_numpy() if name in text else True
    return inside


def attack(rows: pd.DataFrame, groups: pd.DataFrame, bmi_bands: list[str]) -> int:
    """Cells of under ten persons that follow from the rows: their vector is a combination of the rows' vectors."""
    known = np.unique([who(row, groups) for row in rows.to_dict("records")], axis=0).astype(float)
    _, size, basis = np.linalg.svd(known, full_matrices=False)
    basis = basis[size > 1e-8 * size[0]]
    n_found = 0
    for sex, age_band, bmi_band in itertools.product([None, "F", "M"], [None, *AGE_BANDS], [None, *bmi_bands]):
        target = who({"sex": sex, "age_band": age_band, "bmi_band": bmi_band}, groups).astype(float)
        if 0 < target @ groups["size"] < 10:
            n_found += np.abs(target - target @ basis.T @ basis).max() < 1e-6
    return n_found


def list_rows(snapshot: Path, file: str) -> pd.DataFrame:
    """The keys of all rows of all tables with at least ten persons, one row for equal keys."""
    with duckdb.connect(str(snapshot / "normative.duckdb"), read_only=True) as connection:
        terms = dict(connection.execute("SELECT model, terms FROM ref.regression_model").fetchall())
    rows = pd.concat([table.reset_index() for table in read(snapshot, file).values()], ignore_index=True)
    rows = rows[rows["n"] >= 10].assign(terms=rows["model"].map(terms))
    keys = ["measure", "covariate", "terms", "compartment", "sex", "age_band", "bmi_band", "bmi_group"]
    return rows[keys].drop_duplicates()


def test_no_small_cell_follows_from_all_tables_together(first):
    """By counts over all tables; by sums of one measure also nobody without BMI. Where only small cells are hidden, some do."""
    groups = list_groups(first)
    shown, plain = list_rows(first, "normative"), list_rows(first, "research")
    assert attack(shown, groups, BMI_BANDS) == 0
    assert attack(plain, groups, BMI_BANDS) > 5
    for measure in ("csa_psoas_total_cm2", "csa_psoas_total_per_height2_cm2_m2", "age_years"):
        of_measure = {name: rows[rows["measure"] == measure] for name, rows in (("shown", shown), ("plain", plain))}
        cells = {name: rows[rows[["covariate", "terms"]].isna().all(axis=1)] for name, rows in of_measure.items()}
        assert attack(cells["shown"], groups, [*BMI_BANDS, "missing"]) == 0, measure
        assert attack(cells["plain"], groups, [*BMI_BANDS, "missing"]) > 5, measure
