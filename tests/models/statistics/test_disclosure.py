"""Small-cell suppression: nothing under the limit shows, and subtraction does not bring it back."""

import itertools

import numpy as np
import pandas as pd
import pytest

from models.statistics import descriptive, disclosure

STATISTICS = ["pct", "mean", "sd", "ci_low", "ci_high"]
MARGINS = ["sex", "age_band", "bmi_band"]


def test_cells_under_the_limit_are_null():
    frame = pd.DataFrame({"n": [9, 10, 11], "mean": [1.0, 2.0, 3.0], "label": ["a", "b", "c"]})
    shown = disclosure.suppress(frame, 10, ["mean"])
    assert shown["n"].isna().tolist() == [True, False, False]
    assert shown["mean"].isna().tolist() == [True, False, False]
    assert shown["label"].tolist() == ["a", "b", "c"]
    assert frame["n"].tolist() == [9, 10, 11]


@pytest.mark.parametrize(
    ("n", "kept"),
    [(9, set()), (10, {50}), (39, {50}), (40, {25, 50, 75}), (99, {25, 50, 75}), (100, {10, 25, 50, 75, 90})],
)
def test_extreme_percentiles_need_more_persons(n, kept):
    columns = [f"p{percent}{end}" for percent in (10, 25, 50, 75, 90) for end in ("", "_low", "_high")]
    shown = disclosure.suppress(pd.DataFrame({"n": [n]} | dict.fromkeys(columns, 1.0)), 10, [])
    assert {int(column[1:3]) for column in columns if shown[column].notna().all()} == kept


def test_a_single_suppressed_cell_takes_the_next_smallest_with_it():
    bands = ["a", "b", "c", None]
    frame = pd.DataFrame({"measure": "m", "age_band": bands, "n": [4, 30, 20, 54], "mean": 1.0})
    shown = disclosure.suppress_complements(frame, 10, ["mean"], ["measure"], ["age_band"])
    assert shown["n"].isna().tolist() == [True, False, True, False]
    assert shown["mean"].isna().tolist() == [True, False, True, False]


def test_two_suppressed_cells_need_no_third():
    frame = pd.DataFrame({"measure": "m", "age_band": ["a", "b", "c", None], "n": [4, 30, 5, 39]})
    shown = disclosure.suppress_complements(frame, 10, [], ["measure"], ["age_band"])
    assert shown["n"].isna().tolist() == [True, False, True, False]


def test_no_cell_of_a_table_comes_back_by_subtraction_in_a_margin():
    rng = np.random.default_rng(3)
    n = 600
    people = pd.DataFrame(
        {
            "measure": "m",
            "value": rng.normal(size=n),
            "sex": rng.choice(["F", "M"], n),
            "age_band": rng.choice(["a", "b", "c"], n, p=[0.1, 0.4, 0.5]),
            "bmi_band": rng.choice(["u", "v", "w"], n, p=[0.05, 0.5, 0.45]),
        }
    )
    table = descriptive.describe(people)
    plain = disclosure.suppress(table, 10, STATISTICS)
    shown = disclosure.suppress_complements(table, 10, STATISTICS, ["measure"], MARGINS)
    assert shown["n"].dropna().min() >= 10
    assert shown["n"].isna().sum() > plain["n"].isna().sum() > 0
    for margin in MARGINS:
        others = [key for key in MARGINS if key != margin]
        hidden = shown["n"].isna().groupby([shown[key].fillna("all") for key in others]).sum()
        assert not (hidden == 1).any()
    assert shown.loc[shown["n"].isna(), STATISTICS].isna().all(axis=None)


def test_the_margin_rule_can_fail():
    cells = list(itertools.product(["F", "M", None], ["a", "b", None]))
    frame = pd.DataFrame(cells, columns=["sex", "age_band"]).assign(
        n=[4, 50, 54, 60, 70, 130, 64, 120, 184], measure="m"
    )
    shown = disclosure.suppress_complements(frame, 10, [], ["measure"], ["sex", "age_band"])
    assert shown["n"].isna().tolist() == [True, True, False, True, True, False, False, False, False]
