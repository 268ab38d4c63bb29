"""Files of reviews/ -> rows and issues: what is valid comes in once, what is not is named by line, nobody is named."""

import json
from dataclasses import replace

import pytest

from dagster_project.review_files import hash_review_files
from dagster_project.review_intake import REVIEW_ISSUES, read_reviews
from dashboard.verdicts import Reading, append

CASE = ("synthetic", "700000", "30", "v1")
VERDICTS = (
    {"compartment": "psoas", "side": "left", "verdict": "reject", "reason": "swap"},
    {"compartment": "gluteus", "side": "left", "verdict": "accept", "reason": None},
)
READING = Reading(
    *("r1", "0" * 32, *CASE, "mask", "first", False, 0.1, VERDICTS, "blurred", 2.5),
    reviewed_at="2026-01-01T10:00:00.000Z",
)


def take_in(folder):
    return read_reviews(folder, {CASE}, {"swap"})


def test_what_the_page_writes_is_taken_in_as_it_is(tmp_path):
    append(tmp_path, "r1", [READING, replace(READING, reading_id="1" * 32, verdicts=(), undoes="0" * 32)])
    append(tmp_path, "r2", [replace(READING, reading="second", is_blinded=True, sampling_probability=None)])
    log = take_in(tmp_path)
    assert log.issues.empty and log.files["n_readings"].to_list() == [1, 1]
    rows = log.rows.sort_values(["reader", "compartment"]).reset_index(drop=True)
    assert rows["verdict"].to_list() == ["accept", "reject"] * 2 and rows["is_undone"].to_list() == [
        True,
        True,
        False,
        False,
    ]
    assert (
        rows["reading"].to_list() == ["first"] * 2 + ["second"] * 2
        and str(rows["reviewed_at"][0]) == "2026-01-01 10:00:00"
    )
    assert rows.loc[1, ["reason", "comment", "seconds", "mask_sha256"]].to_list() == ["swap", "blurred", 2.5, "mask"]


def test_without_reviews_there_is_nothing(tmp_path):
    log = take_in(tmp_path / "reviews")
    assert log.rows.empty and log.files.empty and log.issues.empty and hash_review_files(tmp_path / "reviews") == {}


def broken(**fields) -> str:
    line = {**json.loads(LINE), **fields}
    return json.dumps({name: value for name, value in line.items() if value is not ...})


LINE = json.dumps({name: value for name, value in vars(READING).items() if name != "reader"})
FAULTS = {
    "unreadable_line": [LINE[:-9], "[1, 2]", "\udcff"],
    "invalid_reading": [
        broken(verdicts=[]),
        broken(reading="third"),
        broken(seconds=-1),
        broken(sampling_probability=0),
        broken(reading_id="../x"),
        broken(mask_sha256=...),
        broken(name="Jane Doe"),
        broken(verdicts=[{**VERDICTS[0], "side": None}]),
        broken(verdicts=[{**VERDICTS[0], "verdict": "maybe"}]),
        broken(undoes="0" * 32),
    ],
    "unknown_reason": [broken(verdicts=[{**VERDICTS[0], "reason": "ugly"}])],
    "unknown_case": [broken(participant_id="700001"), broken(model_version="v2")],
    "undone_by_another": [broken(verdicts=[], undoes="9" * 32)],
}


@pytest.mark.parametrize("code", FAULTS)
def test_a_line_that_is_no_reading_is_an_issue_and_the_rest_comes_in(tmp_path, code):
    lines = [*FAULTS[code], LINE]
    (tmp_path / "r1.jsonl").write_bytes("\n".join(lines).encode(errors="surrogateescape"))
    log = take_in(tmp_path)
    found = log.issues[["file", "line", "code"]].to_records(index=False).tolist()
    assert found == [("r1.jsonl", number, code) for number in range(1, len(lines))]
    assert log.issues["message"].eq(REVIEW_ISSUES[code]).all() and len(log.rows) == 2
    assert (("synthetic", "700001") in log.strangers) == (code == "unknown_case")


def test_a_file_named_after_a_person_is_an_issue_that_does_not_name_them(tmp_path):
    (tmp_path / "Dr Who.jsonl").write_text(LINE)
    log = take_in(tmp_path)
    assert log.rows.empty and log.issues["code"].to_list() == ["invalid_reviewer"]
    assert "Who" not in log.issues.to_json() + log.files.to_json()
    assert dict(zip(log.files["file"], log.files["sha256"], strict=True)) == hash_review_files(tmp_path)


def test_a_withdrawn_person_leaves_the_files(tmp_path):
    from dagster_project.withdrawal import forget_verdicts

    append(tmp_path, "r1", [READING, replace(READING, reading_id="2" * 32, participant_id="7000001")])
    forget_verdicts(tmp_path, "700000")
    (line,) = (tmp_path / "r1.jsonl").read_text().splitlines()
    assert json.loads(line)["participant_id"] == "7000001" and (tmp_path / "r1.jsonl").stat().st_mode & 0o077 == 0
