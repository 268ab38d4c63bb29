"""Expected against delivered, both ways, and images under two ids."""

import pandas as pd

from models.statistics import completeness


def frame(rows, columns=("participant_id", "visit")):
    return pd.DataFrame(rows, columns=list(columns), dtype="str")


def codes(issues):
    return issues[["participant_id", "visit", "code"]].to_numpy().tolist()


def test_both_sides_are_compared_by_participant_and_visit():
    expected = frame([("P1", "30"), ("P1", "60"), ("P2", "30"), ("P1", "30")])
    imaged = frame([("P1", "30"), ("P3", "30"), ("P2", "60"), ("P3", "30")]).assign(contrast="in")
    issues = completeness.compare_expected(expected, imaged)
    assert codes(issues) == [
        ["P1", "60", "no_images"],
        ["P2", "30", "no_images"],
        ["P2", "60", "no_participant_row"],
        ["P3", "30", "no_participant_row"],
    ]
    assert issues["message"].tolist() == [completeness.ISSUES[code] for code in issues["code"]]


def test_nothing_to_tell_is_an_empty_frame():
    one, none = frame([("P1", "30")]), frame([])
    assert completeness.compare_expected(one, one).empty
    assert completeness.compare_expected(none, none).empty
    assert codes(completeness.compare_expected(none, one)) == [["P1", "30", "no_participant_row"]]
    no_images = frame([], ("participant_id", "visit", "image_sha256"))
    assert list(completeness.duplicate_images(no_images)) == ["participant_id", "visit", "code", "message"]


def test_one_hash_under_two_ids():
    rows = [("P1", "30", "a"), ("P1", "60", "a"), ("P2", "30", "b"), ("P3", "30", "b"), ("P3", "30", "c")]
    rows += [("P4", "30", None), ("P5", "30", None), ("P6", "30", "d"), ("P3", "60", "d")]
    images = frame(rows, ("participant_id", "visit", "image_sha256"))
    issues = completeness.duplicate_images(images)
    assert codes(issues) == [
        [*pair, "same_images"] for pair in (("P2", "30"), ("P3", "30"), ("P3", "60"), ("P6", "30"))
    ]
    assert not issues["message"].str.contains("P[0-9]").any()
