"""Cohort tables of a release: dialects, identifiers, missing codes, plausible ranges.

Belongs here: a CSV file in, clean rows and a list of issues out; nothing leaves without one or the other.
Does not belong here: which release wins, withdrawals themselves, the database, images.

Dialects (science.md, section 3): the plain one (comma, UTF-8) and NAKO's older one (semicolon, latin-1, decimal
point), which is recognised by its separator.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa

MISSING_CODES = (7775, 7776, 7777)
PARTICIPANT_COLUMNS = ["participant_id", "visit", "sex", "age_years", "height_cm", "weight_kg", "centre"]
NUMBERS = ["age_years", "height_cm", "weight_kg"]
NAKO_COLUMNS = {
    "ID": "participant_id",
    "basis_sex": "sex",
    "basis_age": "age_years",
    "anthro_groe": "height_cm",
    "anthro_gew": "weight_kg",
    "basis_uort": "centre",
}
NAKO_SEX = {"1": "M", "2": "F"}
NAKO_BASELINE = "30"

_ID = pa.Column(str, pa.Check.str_matches(r"^[A-Za-z0-9][A-Za-z0-9-]{0,31}$"))
_VISIT = pa.Column(str, pa.Check.str_matches(r"^[A-Za-z0-9]{1,16}$"))
_MEASURE = pa.Column(str, pa.Check.str_matches(r"^[a-z][a-z0-9_]{0,62}$"))
IDENTIFIERS = {"participant_id": _ID, "visit": _VISIT, "measure": _MEASURE}
PLAUSIBLE = pa.DataFrameSchema(
    {
        "sex": pa.Column(str, pa.Check.isin(["F", "M"]), nullable=True),
        "age_years": pa.Column(float, pa.Check.in_range(0, 120), nullable=True),
        "height_cm": pa.Column(float, pa.Check.in_range(100, 230), nullable=True),
        "weight_kg": pa.Column(float, pa.Check.in_range(25, 350), nullable=True),
    }
)
IMPLAUSIBLE = {
    "sex": "sex is neither F nor M",
    "age_years": "age_years is outside 0 to 120 years",
    "height_cm": "height_cm is outside 100 to 230 cm",
    "weight_kg": "weight_kg is outside 25 to 350 kg",
}
MALFORMED = {
    "participant_id": "participant id is not 1 to 32 letters, digits and hyphens, starting with a letter or digit",
    "visit": "visit is not 1 to 16 letters and digits",
    "measure": "measure is not a lower-case letter followed by at most 62 lower-case letters, digits and underscores",
}


class UnreadableTable(ValueError):
    """A file is no table of the kind asked for; the message is a sentence that says why."""


@dataclass(frozen=True)
class CohortTable:
    """A table as read.

    Attributes
    ----------
    rows : DataFrame
        The rows that can be used.
    issues : DataFrame
        item (record number below the header, from 1, as text), code, message, participant_id (null where invalid):
        one row per dropped record or emptied value, by record.
    """

    rows: pd.DataFrame
    issues: pd.DataFrame


def read_participants(path: Path) -> CohortTable:
    """Read a participant table in the plain dialect or NAKO's older one.

    Returns
    -------
    CohortTable
        rows: participant_id, visit, sex (F/M), age_years, height_cm, weight_kg, bmi_kg_m2 (weight / height^2),
        centre. Codes of issues: invalid_participant_id, invalid_visit, duplicate_row (record dropped); missing_code,
        invalid_value, implausible_value (value emptied).

    Raises
    ------
    UnreadableTable
        The file is no such table, or lacks required columns.
    """
    table = _read_text(path)
    rows = _from_nako(table) if "basis_age" in table or "ID" in table else _require(table, PARTICIPANT_COLUMNS)
    rows, issues = _drop_malformed(rows, ["participant_id", "visit"], [])
    rows, issues = _drop_duplicates(rows, ["participant_id", "visit"], issues)
    rows, issues = _empty_missing_codes(rows, [*NUMBERS, "sex", "centre"], issues)
    for column in NUMBERS:
        rows, issues = _to_number(rows, column, issues)
    rows["sex"] = rows["sex"].str.upper()
    rows, issues = _empty_implausible(rows, issues)
    rows["bmi_kg_m2"] = rows["weight_kg"] / (rows["height_cm"] / 100) ** 2
    return _table(rows[[*PARTICIPANT_COLUMNS[:-1], "bmi_kg_m2", "centre"]], issues)


def read_measurements(path: Path) -> CohortTable:
    """Read measurements made elsewhere.

    Returns
    -------
    CohortTable
        rows: participant_id, visit, measure, value (in `unit`), unit. Every issue drops its record:
        invalid_participant_id, invalid_visit, invalid_measure, duplicate_row (same person, visit and measure),
        missing_code, invalid_value (not a finite number).

    Raises
    ------
    UnreadableTable
        The file is no such table, or lacks required columns.
    """
    rows = _require(_read_text(path), ["participant_id", "visit", "measure", "value", "unit"])
    rows, issues = _drop_malformed(rows, ["participant_id", "visit", "measure"], [])
    rows, issues = _drop_duplicates(rows, ["participant_id", "visit", "measure"], issues)
    coded = _is_missing_code(rows["value"])
    issues = [*issues, _issue(rows[coded], "missing_code", "value is a missing code")]
    rows = rows[~coded].assign(value=_numbers(rows.loc[~coded, "value"]))
    invalid = rows["value"].isna()
    issues = [*issues, _issue(rows[invalid], "invalid_value", "value is not a finite number")]
    return _table(rows[~invalid], issues)


def read_measures(path: Path) -> CohortTable:
    """Read the register of measures the warehouse does not know: measure, label, unit.

    Issues drop their record: invalid_measure, duplicate_row.

    Raises
    ------
    UnreadableTable
        The file is no such table, or lacks required columns.
    """
    rows = _require(_read_text(path), ["measure", "label", "unit"])
    rows, issues = _drop_malformed(rows, ["measure"], [])
    return _table(*_drop_duplicates(rows, ["measure"], issues))


def read_withdrawals(path: Path) -> CohortTable:
    """Read the ids of persons who withdrew: participant_id.

    Issues drop their record: invalid_participant_id, duplicate_row.

    Raises
    ------
    UnreadableTable
        The file is no such table, or lacks required columns.
    """
    rows = _require(_read_text(path), ["participant_id"])
    rows, issues = _drop_malformed(rows, ["participant_id"], [])
    return _table(*_drop_duplicates(rows, ["participant_id"], issues))


def _read_text(path: Path) -> pd.DataFrame:
    """Return every cell as text, empty and NA cells as null, indexed by record number."""
    with open(path, "rb") as file:
        header = file.readline()
    separator, encoding = (";", "latin-1") if b";" in header else (",", "utf-8-sig")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(path, sep=separator, encoding=encoding, dtype=str, index_col=False)
    except (pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise UnreadableTable(f"{Path(path).name} is not a readable table: {error}.") from error
    table.columns = table.columns.str.strip()
    table.index = pd.RangeIndex(1, len(table) + 1)
    return table


def _require(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Return these columns, stripped."""
    absent = [column for column in columns if column not in table]
    if absent:
        raise UnreadableTable(f"The table lacks the required columns {', '.join(absent)}.")
    rows = table[columns].apply(lambda column: column.str.strip())
    return rows.where(rows != "")


def _from_nako(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of NAKO's older dialect in the plain columns; a `_30` at the end of an ID is its visit."""
    rows = _require(table, list(NAKO_COLUMNS)).rename(columns=NAKO_COLUMNS)
    parts = rows["participant_id"].str.extract(r"^(?P<participant_id>.*?)(?:_(?P<visit>30|60))?$")
    coded = rows["sex"].map(NAKO_SEX).fillna(rows["sex"].where(_is_missing_code(rows["sex"]), "unknown"))
    sex = coded.where(rows["sex"].notna())
    return rows.assign(participant_id=parts["participant_id"], visit=parts["visit"].fillna(NAKO_BASELINE), sex=sex)


def _issue(rows: pd.DataFrame, code: str, message: str) -> pd.DataFrame:
    """Return one issue per row; the id is repeated only where the column holds valid ones."""
    person = rows.get("participant_id")
    return pd.DataFrame({"item": rows.index, "code": code, "message": f"The {message}.", "participant_id": person})


def _failures(columns: dict[str, pa.Column] | pa.DataFrameSchema, rows: pd.DataFrame) -> pd.Series:
    """Return, per failed cell, its column, indexed by record number."""
    schema = columns if isinstance(columns, pa.DataFrameSchema) else pa.DataFrameSchema(columns)
    try:
        schema.validate(rows, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases
        return cases.drop_duplicates(["index", "column"]).set_index("index")["column"]
    return pd.Series(dtype=str)


def _drop_malformed(rows: pd.DataFrame, columns: list[str], issues: list) -> tuple[pd.DataFrame, list]:
    """Drop rows with a malformed identifier; the first of `columns` that fails is the issue."""
    rows = rows.astype(dict.fromkeys(columns, str))
    for column in columns:
        failed = rows.index.isin(_failures({column: IDENTIFIERS[column]}, rows).index)
        hidden = rows[failed].assign(participant_id=None) if column == "participant_id" else rows[failed]
        issues = [*issues, _issue(hidden, f"invalid_{column}", MALFORMED[column])]
        rows = rows[~failed]
    return rows, issues


def _drop_duplicates(rows: pd.DataFrame, key: list[str], issues: list) -> tuple[pd.DataFrame, list]:
    repeated = rows.duplicated(key)
    message = f"record repeats the {', '.join(key)} of an earlier one"
    return rows[~repeated].copy(), [*issues, _issue(rows[repeated], "duplicate_row", message)]


def _is_missing_code(texts: pd.Series) -> pd.Series:
    return pd.to_numeric(texts, errors="coerce").isin(MISSING_CODES)


def _empty_missing_codes(rows: pd.DataFrame, columns: list[str], issues: list) -> tuple[pd.DataFrame, list]:
    for column in columns:
        coded = _is_missing_code(rows[column])
        issues = [*issues, _issue(rows[coded], "missing_code", f"{column} is a missing code")]
        rows = rows.assign(**{column: rows[column].mask(coded)})
    return rows, issues


def _numbers(texts: pd.Series) -> pd.Series:
    """Return finite numbers, else null."""
    return pd.to_numeric(texts, errors="coerce").astype(float).replace([np.inf, -np.inf], np.nan)


def _to_number(rows: pd.DataFrame, column: str, issues: list) -> tuple[pd.DataFrame, list]:
    numbers = _numbers(rows[column])
    invalid = rows[column].notna() & numbers.isna()
    issues = [*issues, _issue(rows[invalid], "invalid_value", f"{column} is not a finite number")]
    return rows.assign(**{column: numbers}), issues


def _empty_implausible(rows: pd.DataFrame, issues: list) -> tuple[pd.DataFrame, list]:
    failures = _failures(PLAUSIBLE, rows.astype({"sex": str}))
    for column, message in IMPLAUSIBLE.items():
        failed = rows.index.isin(failures.index[failures == column])
        issues = [*issues, _issue(rows[failed], "implausible_value", message)]
        rows = rows.assign(**{column: rows[column].mask(failed)})
    return rows, issues


def _table(rows: pd.DataFrame, issues: list[pd.DataFrame]) -> CohortTable:
    listed = pd.concat(issues, ignore_index=True).sort_values("item", kind="stable", ignore_index=True)
    columns = {"item": str, "code": str, "message": str, "participant_id": str}
    return CohortTable(rows.reset_index(drop=True), listed.astype(columns))
