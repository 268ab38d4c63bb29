"""The child process that reads a pasted or uploaded table of people: bytes of CSV in, JSON lines out.

Belongs here: decoding, delimiters, decimal signs, which columns are known, what is wrong with a row (as a code).
Does not belong here: percentiles, words. Only the standard library, so that it starts at once and can do little.

Run by dashboard/batch.py with limits of memory and time: what a stranger uploads is never parsed in the server.
"""

import csv
import json
import math
import sys

MOST_ROWS = 10_000
LONGEST_ID = 64
NUMBERS = ("age_years", "bmi_kg_m2", "height_cm", "weight_kg", "value")
COLUMNS = ("id", "measure", "sex", *NUMBERS)
ALIASES = {
    "age": "age_years", "alter": "age_years", "bmi": "bmi_kg_m2", "height": "height_cm", "groesse": "height_cm",
    "größe": "height_cm", "weight": "weight_kg", "gewicht": "weight_kg", "wert": "value", "geschlecht": "sex",
}  # fmt: skip
SEXES = {"f": "F", "w": "F", "female": "F", "woman": "F", "weiblich": "F", "frau": "F"}
SEXES |= {"m": "M", "male": "M", "man": "M", "männlich": "M", "maennlich": "M", "mann": "M"}


class Unreadable(ValueError):
    """The table as a whole cannot be read; the text is a code."""


def read_people(content: bytes) -> list[dict[str, object]]:
    """Return one dict a row: row (counted from 1), the COLUMNS (None where absent or not a number) and issue (a code or None).

    Raises
    ------
    Unreadable
        Not text, no known columns, no rows, or too many.
    """
    lines = _decode(content).splitlines()
    if not lines:
        raise Unreadable("empty")
    delimiter = max(";\t,", key=lines[0].count)
    header = [_column(cell) for cell in next(csv.reader(lines[:1], delimiter=delimiter))]
    if not {"sex", "age_years", "value"} <= set(header):
        raise Unreadable("columns")
    rows = [row for row in csv.reader(lines[1:], delimiter=delimiter) if any(cell.strip() for cell in row)]
    if not rows:
        raise Unreadable("empty")
    if len(rows) > MOST_ROWS:
        raise Unreadable("too_many")
    return [_person(number, dict(zip(header, row, strict=False))) for number, row in enumerate(rows, start=1)]


def _decode(content: bytes) -> str:
    if b"\0" in content:
        raise Unreadable("not_text")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _column(cell: str) -> str:
    name = cell.strip().lower()
    return ALIASES.get(name, name)


def _person(number: int, cells: dict[str, str]) -> dict[str, object]:
    person = {"row": number, "id": _harmless(cells.get("id", "")), "measure": cells.get("measure", "").strip() or None}
    person["sex"] = SEXES.get(cells.get("sex", "").strip().lower())
    person |= {name: _number(cells.get(name, "")) for name in NUMBERS}
    if person["bmi_kg_m2"] is None and person["height_cm"] and person["weight_kg"]:
        person["bmi_kg_m2"] = person["weight_kg"] / (person["height_cm"] / 100) ** 2
    wrong = [name for name in ("sex", "age_years", "value") if person[name] is None]
    person["issue"] = wrong[0] if wrong else "value" if person["value"] <= 0 else None
    return person


def _number(cell: str) -> float | None:
    text = cell.strip().replace("\u2212", "-")
    if "." not in text:
        text = text.replace(",", ".")
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _harmless(text: str) -> str:
    """Return an id that no spreadsheet takes for a formula when it comes back."""
    return text.strip()[:LONGEST_ID].lstrip("=+-@\t")


if __name__ == "__main__":
    try:
        json.dump({"people": read_people(sys.stdin.buffer.read())}, sys.stdout)
    except Unreadable as error:
        json.dump({"unreadable": str(error)}, sys.stdout)
    except csv.Error:
        json.dump({"unreadable": "not_text"}, sys.stdout)
