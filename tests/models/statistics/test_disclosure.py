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


@pytest.mark.parametrize("ties", [1, 15])
@pytest.mark.parametrize("n", [9, 10, 21, 22, 39, 40, 41, 45, 92, 99, 100, 150, 300])
def test_percentiles_and_limits_need_the_least_persons_beyond_them_on_each_side(n, ties):
    """Counted on values: how many lie below and above what is shown; and a P10 needs k / 0.10 persons (science: disclosure)."""
    values = pd.DataFrame(
        {"measure": "m", "value": np.arange(float(n)) // ties, "sex": "F", "age_band": "a", "bmi_band": "b"}
    )
    raw = descriptive.band_percentiles(values)
    shown = disclosure.suppress(raw, 10, [], beyond=descriptive.count_beyond(values, raw))
    for percent, end in itertools.product((10, 25, 50, 75, 90), ("", "_low", "_high")):
        column = f"p{percent}{end}"
        value = raw[column].iloc[0]
        enough = (values["value"] < value).sum() >= 10 and (values["value"] > value).sum() >= 10
        enough &= n * min(percent, 100 - percent) >= 10 * 100
        assert (shown[column].notna() == enough).all(), column


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


def people(seed, n=600, missing=0.02):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "measure": "m",
            "value": rng.normal(30, 5, n),
            "sex": rng.choice(["F", "M"], n),
            "age_band": rng.choice(["a", "b", "c"], n, p=[0.1, 0.4, 0.5]),
            "bmi_band": rng.choice(["u", "v", "w"], n, p=[0.05, 0.5, 0.45]),
        }
    )
    return frame.assign(bmi_band=frame["bmi_band"].where(rng.random(n) >= missing, None))


def attack(persons, shown):
    """Everything below the limit that follows from what is shown: {cell: (n, sum, sum of squares)}.

    The attacker solves for the smallest groups; a cell follows where all solutions agree on it.
    """
    key = persons[MARGINS].fillna("missing").agg("/".join, axis=1)
    groups = sorted(key.unique())
    levels = [[*sorted(persons[margin].dropna().unique()), "missing", None] for margin in MARGINS]

    def vector(cell):
        return [
            all(want in (None, have) for want, have in zip(cell, group.split("/"), strict=True)) for group in groups
        ]

    visible = shown[shown["n"].notna()]
    a = np.array([vector([None if pd.isna(k) else k for k in row]) for row in visible[MARGINS].to_numpy()], float)
    n, mean, sd = (visible[column].to_numpy(float) for column in ("n", "mean", "sd"))
    known = np.column_stack([n, n * mean, (n - 1) * sd**2 + n * mean**2])
    solution, *_ = np.linalg.lstsq(a, known, rcond=None)
    null_space = np.linalg.svd(a)[2][np.linalg.matrix_rank(a) :]
    recovered = {}
    for cell in itertools.product(*levels):
        wanted = np.array(vector(cell), float)
        size = sum((key == group).sum() for group, inside in zip(groups, wanted, strict=True) if inside)
        if 0 < size < 10 and np.abs(null_space @ wanted).max(initial=0) < 1e-9:
            recovered[cell] = (size, wanted @ solution)
    return recovered


@pytest.mark.parametrize("seed", range(12))
def test_no_small_cell_follows_from_totals_sums_or_sums_of_squares(seed):
    persons = people(seed)
    table = descriptive.describe(persons)
    shown = disclosure.suppress_complements(table, 10, STATISTICS, ["measure"], MARGINS)
    assert shown["n"].dropna().min() >= 10 and shown["n"].notna().sum() > 12
    assert attack(persons, shown) == {}
    assert shown.loc[shown["n"].isna(), STATISTICS].isna().all(axis=None)


def test_the_attack_works_where_only_small_cells_are_hidden():
    """The test above can fail: mean and SD of a hidden cell come back to the last digit."""
    persons = people(3, missing=0.0)
    plain = disclosure.suppress(descriptive.describe(persons), 10, STATISTICS)
    recovered = attack(persons, plain)
    assert len(recovered) > 3
    (sex, age, bmi), (size, (n, total, _)) = next((c, r) for c, r in recovered.items() if None not in c)
    inside = persons[(persons["sex"] == sex) & (persons["age_band"] == age) & (persons["bmi_band"] == bmi)]["value"]
    assert (n, total / n) == pytest.approx((len(inside), inside.mean()))
    assert size == len(inside)


def test_few_persons_without_a_band_do_not_follow_from_the_total():
    """Five persons lack the band: total minus bands would be they."""
    frame = pd.DataFrame({"measure": "m", "bmi_band": ["a", "b", None], "n": [40, 30, 75]})
    shown = disclosure.suppress_complements(frame, 10, [], ["measure"], ["bmi_band"])
    assert shown["n"].isna().tolist() == [False, True, False]
    enough = disclosure.suppress_complements(frame.assign(n=[40, 30, 80]), 10, [], ["measure"], ["bmi_band"])
    assert enough["n"].notna().all()


def test_a_cell_that_must_be_hidden_is_protected_like_a_small_one():
    contents = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]], dtype=bool)
    hidden = disclosure.find_hidden(contents, np.array([50, 60, 70]), 10, hidden=np.array([True, False, False, False]))
    assert hidden.tolist() == [True, True, False, False]


def test_rows_of_several_tables_about_the_same_persons_share_their_fate():
    """A count of women in one table would give back the count of men that another table hides."""
    groups = pd.DataFrame({"sex": ["F", "M"], "n": [40, 4], "available": [frozenset({"csa"})] * 2})
    rows = pd.DataFrame({"sex": ["F", "M", None, "F", None]})
    contents = disclosure.cover(rows, groups, ["sex"], [frozenset({"csa"})] * 5)
    hidden = disclosure.find_hidden(contents, groups["n"].to_numpy(), 10)
    assert hidden.tolist() == [True, True, False, True, False]


@pytest.mark.parametrize(
    ("changed", "withdrawn", "wanted"),
    [(0, 0, "show"), (9, 0, "keep"), (10, 0, "show"), (0, 1, "withhold"), (8, 1, "withhold"), (9, 1, "show")],
)
def test_republication(changed, withdrawn, wanted):
    assert disclosure.decide_republication(changed, withdrawn, 10) == wanted


def test_the_margin_rule_can_fail():
    cells = list(itertools.product(["F", "M", None], ["a", "b", None]))
    frame = pd.DataFrame(cells, columns=["sex", "age_band"]).assign(
        n=[4, 50, 54, 60, 70, 130, 64, 120, 184], measure="m"
    )
    shown = disclosure.suppress_complements(frame, 10, [], ["measure"], ["sex", "age_band"])
    assert shown["n"].isna().tolist() == [True, True, False, True, True, False, False, False, False]
