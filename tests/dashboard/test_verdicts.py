"""The append-only log: nothing is lost, nothing counts twice, nothing is overwritten."""

import json
import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest

from dashboard import verdicts
from dashboard.verdicts import Reading, append, clean_comment, read, standing

ACCEPTED = ({"compartment": "psoas", "side": "left", "verdict": "accept", "reason": None},)
READING = Reading(
    *("r1", "0" * 32, "synthetic", "700000", "30", "v1", "mask", "first", False, 1.0, ACCEPTED, None, 2.5),
    reviewed_at="2026-01-01T00:00:00.000Z",
)


def numbered(number: int, **fields) -> Reading:
    return replace(READING, reading_id=f"{number:032x}", **fields)


def test_what_is_appended_is_read_back_and_once_only(tmp_path):
    append(tmp_path, "r1", [READING, READING])
    append(tmp_path, "r1", [READING, numbered(1)])
    assert read(tmp_path / "r1.jsonl") == [READING, numbered(1)]
    assert (tmp_path / "r1.jsonl").stat().st_mode & 0o077 == 0
    assert "reader" not in json.loads((tmp_path / "r1.jsonl").read_text().splitlines()[0])


def test_undoing_keeps_the_history(tmp_path):
    undo = numbered(2, undoes=READING.reading_id, verdicts=())
    append(tmp_path, "r1", [READING, numbered(1), undo])
    assert len(read(tmp_path / "r1.jsonl")) == 3
    assert standing(read(tmp_path / "r1.jsonl")) == [numbered(1)]


def test_a_line_cut_by_a_crash_costs_itself_alone(tmp_path):
    append(tmp_path, "r1", [READING])
    with (tmp_path / "r1.jsonl").open("a") as file:
        file.write('{"reading_id": "12')
    append(tmp_path, "r1", [numbered(1)])
    assert read(tmp_path / "r1.jsonl") == [READING, numbered(1)]


@pytest.mark.parametrize("reader", ["", "../r1", "Dr Who", "a" * 17, "r1.jsonl"])
def test_only_codes_are_readers(tmp_path, reader):
    with pytest.raises(ValueError, match="code"):
        append(tmp_path, reader, [READING])
    assert not list(tmp_path.iterdir())


def test_a_comment_is_one_printable_line():
    assert clean_comment("  a\nb\0\tc ") == "a b c" and clean_comment(" \n") is None
    assert len(clean_comment("x" * 900)) == verdicts.MAX_COMMENT


def append_many(folder: Path, first: int) -> None:
    for number in range(first, first + 40):
        append(folder, "r1", [numbered(number)])


def test_two_windows_of_one_reader_write_whole_lines(tmp_path):
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=append_many, args=(tmp_path, first)) for first in (0, 20)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = [int(reading.reading_id, 16) for reading in read(tmp_path / "r1.jsonl")]
    assert sorted(found) == list(range(60))
