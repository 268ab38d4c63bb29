"""The verdicts of reviews/ on their way into the warehouse: valid lines become rows, the others issues.

What belongs here: the form of a line as the warehouse takes it, and its rows. Which reading of a case counts is decided in SQL
(`imaging.decisive_review`); writing the files is the dashboard's work.
"""

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dagster_project.review_files import READER_FILE, list_review_files, show_name

# In the order in which a line is looked at.
REVIEW_ISSUES = {
    "invalid_reviewer": "The file is not named <reader>.jsonl with a code of 1 to 16 letters and digits: rename it.",
    "unreadable_line": "The line is not one JSON object: it was cut or edited. Remove it, and let the reader judge again.",
    "invalid_reading": "The line lacks a field or holds a value that the review page does not write: correct or remove it.",
    "unknown_reason": "The reason is not in ref.review_reason: add it there, or correct the line.",
    "unknown_case": "The participant, visit and model are not in the ledger of the segmentation: remove the line.",
    "undone_by_another": "The line takes back a reading that its reader did not make: remove it.",
}
CASE = ("study", "participant_id", "visit", "model_version")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MuscleVerdict(_Strict):
    """A verdict on one muscle, or on the whole case where both are None."""

    compartment: Literal["psoas", "gluteus"] | None
    side: Literal["left", "right"] | None
    verdict: Literal["accept", "reject", "unsure"]
    reason: str | None

    @model_validator(mode="after")
    def _names_a_muscle_or_none(self):
        if (self.compartment is None) != (self.side is None):
            raise ValueError("compartment and side go together")
        return self


class ReadingLine(_Strict):
    """A line of reviews/<reader>.jsonl: one reading of one case, or the undoing of one (`undoes`, without verdicts)."""

    reading_id: str = Field(pattern="^[0-9a-f]{32}$")
    study: str
    participant_id: str
    visit: str
    model_version: str
    mask_sha256: str
    reading: Literal["first", "second", "consensus"]
    is_blinded: bool
    sampling_probability: float | None = Field(gt=0, le=1)
    verdicts: tuple[MuscleVerdict, ...] = Field(max_length=4)
    comment: str | None = Field(max_length=500)
    seconds: float | None = Field(ge=0)
    reviewed_at: datetime
    undoes: str | None

    @model_validator(mode="after")
    def _judges_or_undoes(self):
        if bool(self.verdicts) == bool(self.undoes):
            raise ValueError("a line either judges or undoes")
        return self


@dataclass(frozen=True)
class ReviewLog:
    """Rows of imaging.review, imaging.review_file and imaging.review_issue; study and id of persons without a case."""

    rows: pd.DataFrame
    files: pd.DataFrame
    issues: pd.DataFrame
    strangers: frozenset[tuple[str, str]]


def read_reviews(folder: Path, cases: Collection[tuple[str, ...]], reasons: Collection[str]) -> ReviewLog:
    """Read all files of verdicts.

    Parameters
    ----------
    folder : Path
        reviews/ of MYONORM_HOME; it may be absent.
    cases : collection of tuple
        Study, participant, visit and model of every case in the ledger.
    reasons : collection of str
        Those of ref.review_reason.
    """
    rows, files, issues, strangers = [], [], [], set()
    for path in list_review_files(folder):
        content = path.read_bytes()
        lines, found = _read_lines(show_name(path), content, cases, reasons, strangers)
        issues += found
        undone = {line.undoes for line in lines}
        rows += [row for line in lines for row in _list_rows(path.stem, line, line.reading_id in undone)]
        n_readings = sum(1 for line in lines if not line.undoes)
        files.append({"file": show_name(path), "sha256": hashlib.sha256(content).hexdigest(), "n_readings": n_readings})
    return ReviewLog(pd.DataFrame(rows), pd.DataFrame(files), pd.DataFrame(issues), frozenset(strangers))


def _read_lines(
    name: str,
    content: bytes,
    cases: Collection[tuple[str, ...]],
    reasons: Collection[str],
    strangers: set[tuple[str, str]],
) -> tuple[list[ReadingLine], list[dict]]:
    """Valid lines, each reading once, and the issues of the others; adds to `strangers`."""
    if not READER_FILE.fullmatch(name):
        return [], [_issue(name, None, "invalid_reviewer")]
    lines: dict[str, ReadingLine] = {}
    issues = []
    for number, text in enumerate(content.splitlines(), start=1):
        if not text.strip():
            continue
        try:
            line = ReadingLine.model_validate_json(text)
        except ValidationError:
            issues.append(_issue(name, number, "invalid_reading" if _is_json_object(text) else "unreadable_line"))
            continue
        code = _find_fault(line, lines, cases, reasons)
        if code == "unknown_case":
            strangers.add((line.study, line.participant_id))
        if code:
            issues.append(_issue(name, number, code))
        else:
            lines.setdefault(line.reading_id, line)
    return list(lines.values()), issues


def _find_fault(
    line: ReadingLine, earlier: dict[str, ReadingLine], cases: Collection[tuple[str, ...]], reasons: Collection[str]
) -> str | None:
    if not {verdict.reason for verdict in line.verdicts} <= {None, *reasons}:
        return "unknown_reason"
    if tuple(getattr(line, name) for name in CASE) not in cases:
        return "unknown_case"
    return "undone_by_another" if line.undoes and line.undoes not in earlier else None


def _list_rows(reader: str, line: ReadingLine, is_undone: bool) -> list[dict]:
    if line.undoes:
        return []
    shared = line.model_dump(exclude={"verdicts", "undoes", "reviewed_at"})
    shared["reviewed_at"] = line.reviewed_at.astimezone(UTC).replace(tzinfo=None)
    shared |= {"reader": reader, "is_undone": is_undone}
    return [shared | verdict.model_dump() for verdict in line.verdicts]


def _issue(file: str, line: int | None, code: str) -> dict:
    return {"file": file, "line": line, "code": code, "message": REVIEW_ISSUES[code]}


def _is_json_object(text: bytes) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
