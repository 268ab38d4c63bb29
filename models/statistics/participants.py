"""Cohort tables of a release: identifiers, missing codes, units, codings, plausible ranges.

Belongs here: a delivered table in, clean rows and a list of issues out; nothing leaves without one or the other.
Does not belong here: separators, encodings and code book files (`dialects.py`), comparing tables with images
(`completeness.py`), which release wins, withdrawals themselves, the database.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa

from models.statistics.dialects import (
    DeliveredTable,
    UnreadableTable,
    choose_columns,
    read_code_book,
    read_columns,
    read_header,
    tidy_codes,
)

__all__ = [
    "ISSUES",
    "CohortTable",
    "UnreadableTable",
    "read_annotations",
    "read_measurements",
    "read_measures",
    "read_participants",
    "read_withdrawals",
]

MISSING_CODES = (7775, 7776, 7777)
MISSING_LABEL = r"missing|fehlend|\bnicht\b|\bnot\b|keine angabe|unbekannt|unknown|verweigert|refused"
NAKO_NAMES = {
    "participant_id": ("ID",),
    "visit": (),
    "sex": ("a_basis_sex", "basis_sex"),
    "age_years": ("a_basis_age", "basis_age"),
    "height_cm": ("a_anthro_groe", "anthro_groe"),
    "weight_kg": ("a_anthro_gew", "anthro_gew"),
    "centre": ("a_basis_uort", "basis_uort"),
    "mri_centre": (),
    "exam_years": (),
    "bmi_kg_m2": ("a_anthro_bmi", "anthro_bmi"),
}
NAKO_VISIT = r"^(?P<participant_id>.*)_(?P<visit>30|60)$"
NAKO_BASELINE = "30"
PARTICIPANT_NAMES = {column: (column, *names) for column, names in NAKO_NAMES.items()}
PARTICIPANT_COLUMNS = ["participant_id", "visit", "sex", "age_years", "height_cm", "weight_kg", "bmi_kg_m2", "centre"]
PASSED_THROUGH = ["mri_centre", "exam_years"]
NUMBERS = ["age_years", "height_cm", "weight_kg", "exam_years", "bmi_kg_m2"]
LABELLED = ["sex", "centre", "mri_centre"]
SEXES = dict.fromkeys(("1", "m", "male", "maennlich", "männlich"), "M")
SEXES |= dict.fromkeys(("2", "f", "w", "female", "weiblich"), "F")
LIMITS = {"age_years": (0, 120), "height_cm": (100, 230), "weight_kg": (25, 350), "exam_years": (0, 50)}
UNITS = {"age_years": "years", "height_cm": "cm", "weight_kg": "kg", "exam_years": "years"}
OTHER_UNITS = {"height_cm": ("metres", 100.0), "weight_kg": ("grams", 0.001)}
BMI_TOLERANCE_KG_M2 = 0.5

IDENTIFIERS = {
    "participant_id": pa.Column(str, pa.Check.str_matches(r"^[A-Za-z0-9][A-Za-z0-9-]{0,31}$")),
    "visit": pa.Column(str, pa.Check.str_matches(r"^[A-Za-z0-9]{1,16}$")),
    "measure": pa.Column(str, pa.Check.str_matches(r"^[a-z][a-z0-9_]{0,62}$")),
    "reader": pa.Column(str, pa.Check.str_matches(r"^[A-Za-z0-9]{1,16}$")),
    "reading": pa.Column(str, pa.Check.str_matches(r"^[1-9][0-9]?$")),
    "role": pa.Column(str, pa.Check.isin(["train", "test"])),
}
BLINDED = dict.fromkeys(("1", "true", "yes"), True) | dict.fromkeys(("0", "false", "no"), False)

ISSUES = {
    "wrong_field_count": "The record has more or fewer fields than the header: look for a stray separator in it.",
    "invalid_participant_id": (
        "The participant id is not 1 to 32 letters, digits and hyphens, starting with a letter or digit."
    ),
    "invalid_visit": "The visit is not 1 to 16 letters and digits.",
    "invalid_measure": (
        "The measure is not a lower-case letter followed by at most 62 lower-case letters, digits and underscores."
    ),
    "invalid_reader": "The reader is not 1 to 16 letters and digits: give readers a code, not a name.",
    "invalid_reading": "The reading is not a number from 1 to 99.",
    "invalid_role": "The role is neither train nor test.",
    "duplicate_row": "The record repeats the {column} of an earlier one, which is kept.",
    "mixed_decimals": "The {column} has a decimal point in a column of decimal commas: deliver one form.",
    "missing_code": "The {column} is a missing code.",
    "invalid_value": "The {column} is not a finite number.",
    "unit_converted": "The {column} column came in {unit} and was converted.",
    "unit_differs": "The {column} looks like {unit}, unlike the rest of its column: correct it.",
    "implausible_value": "The {column} is not {allowed}.",
    "bmi_differs": (
        "The delivered {column} differs by more than 0.5 kg/m2 from weight / height^2, which is kept: check all three."
    ),
}
"""Code -> sentence, in the order in which a record is looked at."""


@dataclass(frozen=True)
class CohortTable:
    """A table as read.

    Attributes
    ----------
    rows : DataFrame
        The rows that can be used.
    issues : DataFrame
        item (record number below the header, from 1, as text; null where it concerns a column), code, message,
        participant_id (null where invalid): one row per dropped record, emptied value or remark, by record.
    """

    rows: pd.DataFrame
    issues: pd.DataFrame


def read_participants(
    path: Path, columns: Mapping[str, str] | None = None, code_book: Path | None = None
) -> CohortTable:
    """Read a participant table in the plain dialect, either of NAKO's, or Parquet.

    Parameters
    ----------
    path : Path
        Parquet where it ends in `.parquet`, else text.
    columns : mapping of str to str, optional
        `[columns]` of release.toml: a column of the result -> its delivered name.
    code_book : Path, optional
        NAKO's `*_Metadaten.csv`: its codes of numeric variables and its missing codes never become values, its labels
        decode sex and centres.

    Returns
    -------
    CohortTable
        rows: participant_id, visit, sex (F/M), age_years, height_cm, weight_kg, bmi_kg_m2 (weight / height^2),
        centre, and where delivered mri_centre, exam_years (since the first examination).
        Codes of issues, with their sentences in `ISSUES`. Record dropped: wrong_field_count, invalid_participant_id,
        invalid_visit, duplicate_row. Value emptied: mixed_decimals, missing_code, invalid_value, unit_differs,
        implausible_value. Remark: unit_converted (once a column), bmi_differs.

    Raises
    ------
    UnreadableTable
        The file is no such table, or lacks required columns.
    """
    header = read_header(path)
    from_nako = any(name in header for names in NAKO_NAMES.values() for name in names)
    optional = ["bmi_kg_m2", *PASSED_THROUGH, *(["visit"] if from_nako else [])]
    chosen = choose_columns(header, PARTICIPANT_NAMES, columns or {}, optional)
    book = read_code_book(code_book) if code_book else {}
    labels = {column: book.get(name, {}) for column, name in chosen.items()}
    delivered = read_columns(path, chosen)
    rows = _split_visit(delivered.cells) if from_nako else delivered.cells
    rows, issues = _drop_unusable(rows, ["participant_id", "visit"], delivered)
    for column in [column for column in LABELLED if column in rows]:
        rows, issues = _decode(rows, column, labels[column], issues)
    for column in [column for column in NUMBERS if column in rows]:
        rows, issues = _to_number(rows, column, labels[column], delivered.has_semicolons, issues)
    for column in OTHER_UNITS:
        rows, issues = _convert_unit(rows, column, issues)
    rows, issues = _empty_implausible(rows, issues)
    rows, issues = _compute_bmi(rows, issues)
    return _table(rows[[*PARTICIPANT_COLUMNS, *(column for column in PASSED_THROUGH if column in rows)]], issues)


def read_measurements(path: Path) -> CohortTable:
    """Read measurements made elsewhere, as text or Parquet.

    Returns
    -------
    CohortTable
        rows: participant_id, visit, measure, value (in `unit`), unit. Every issue drops its record:
        wrong_field_count, invalid_participant_id, invalid_visit, invalid_measure, duplicate_row (same person, visit
        and measure), mixed_decimals, missing_code, invalid_value (not a finite number).

    Raises
    ------
    UnreadableTable
        The file is no such table, or lacks required columns.
    """
    delivered = _read_plain(path, ["participant_id", "visit", "measure", "value", "unit"])
    rows, issues = _drop_unusable(delivered.cells, ["participant_id", "visit", "measure"], delivered)
    is_empty = rows["value"].isna()
    issues = [*issues, _issue(rows[is_empty], "invalid_value", column="value")]
    rows, issues = _to_number(rows[~is_empty], "value", {}, delivered.has_semicolons, issues)
    return _table(rows.dropna(subset=["value"]), issues)


def read_measures(path: Path) -> CohortTable:
    """Read the register of measures the warehouse does not know: measure, label, unit.

    Issues drop their record: wrong_field_count, invalid_measure, duplicate_row.

    Raises
    ------
    UnreadableTable
        The file is no such table, or lacks required columns.
    """
    delivered = _read_plain(path, ["measure", "label", "unit"])
    return _table(*_drop_unusable(delivered.cells, ["measure"], delivered))


def read_withdrawals(path: Path) -> CohortTable:
    """Read the ids of persons who withdrew: participant_id.

    Issues drop their record: wrong_field_count, invalid_participant_id, duplicate_row.

    Raises
    ------
    UnreadableTable
        The file is no such table, or lacks required columns.
    """
    delivered = _read_plain(path, ["participant_id"])
    return _table(*_drop_unusable(delivered.cells, ["participant_id"], delivered))


def read_annotations(path: Path) -> CohortTable:
    """Read the register of annotated masks.

    Returns
    -------
    CohortTable
        rows: participant_id, visit, reader, reading (number), role (train or test), is_blinded, annotated_on (date; null
        where absent). Record dropped: wrong_field_count, invalid_participant_id, invalid_visit, invalid_reader,
        invalid_reading, duplicate_row (same person, visit, reader and reading), invalid_role. Value emptied:
        implausible_value (blinded is no yes or no, the date no ISO date).

    Raises
    ------
    UnreadableTable
        The file is no such table, or lacks required columns.
    """
    key = ["participant_id", "visit", "reader", "reading"]
    delivered = _read_plain(path, [*key, "role", "blinded"], optional=["date"])
    rows, issues = _drop_unusable(delivered.cells.reindex(columns=[*key, "role", "blinded", "date"]), key, delivered)
    rows = rows.astype({"role": str, "blinded": str, "date": str})
    has_no_role = rows.index.isin(_failures({"role": IDENTIFIERS["role"]}, rows))
    issues = [*issues, _issue(rows[has_no_role], "invalid_role")]
    rows = rows[~has_no_role]
    is_blinded = rows["blinded"].str.casefold().map(BLINDED)
    rows, issues = _empty(rows, "blinded", is_blinded.isna(), "implausible_value", issues, allowed="true or false")
    dates = pd.to_datetime(rows["date"], format="%Y-%m-%d", errors="coerce")
    is_no_date = rows["date"].notna() & dates.isna()
    rows, issues = _empty(rows, "date", is_no_date, "implausible_value", issues, allowed="a date as 2026-01-31")
    rows = rows.assign(reading=rows["reading"].astype(int), is_blinded=is_blinded.astype("boolean"), annotated_on=dates)
    return _table(rows.drop(columns=["blinded", "date"]), issues)


def _read_plain(path: Path, columns: list[str], optional: Iterable[str] = ()) -> DeliveredTable:
    accepted = {column: (column,) for column in [*columns, *optional]}
    return read_columns(path, choose_columns(read_header(path), accepted, {}, optional))


def _split_visit(rows: pd.DataFrame) -> pd.DataFrame:
    """Return NAKO's rows with a visit: its own column, else the `_30` or `_60` that ends an ID, else the baseline."""
    parts = rows["participant_id"].str.extract(NAKO_VISIT)
    visit = rows["visit"] if "visit" in rows else parts["visit"].fillna(NAKO_BASELINE)
    participant_id = parts["participant_id"].where(parts["visit"] == visit, rows["participant_id"])
    return rows.assign(participant_id=participant_id, visit=visit)


def _issue(rows: pd.DataFrame, code: str, **details: str) -> pd.DataFrame:
    """Return one issue per row; the id is repeated only where the column holds valid ones."""
    item, message = pd.array(rows.index, dtype="Int64"), ISSUES[code].format(**details)
    return pd.DataFrame({"item": item, "code": code, "message": message, "participant_id": rows.get("participant_id")})


def _drop_unusable(
    rows: pd.DataFrame, key: list[str], delivered: DeliveredTable
) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """Drop rows with a malformed identifier (the first that fails is the issue), then those that repeat a key."""
    issues = [_issue(pd.DataFrame(index=delivered.misfits), "wrong_field_count")]
    rows = rows.astype(dict.fromkeys(key, str))
    for column in key:
        failed = rows.index.isin(_failures({column: IDENTIFIERS[column]}, rows))
        hidden = rows[failed].assign(participant_id=None) if column == "participant_id" else rows[failed]
        issues = [*issues, _issue(hidden, f"invalid_{column}")]
        rows = rows[~failed]
    repeated = rows.duplicated(key)
    return rows[~repeated], [*issues, _issue(rows[repeated], "duplicate_row", column=", ".join(key))]


def _failures(columns: dict[str, pa.Column], rows: pd.DataFrame) -> pd.Index:
    """Return the record numbers of the rows that fail."""
    try:
        pa.DataFrameSchema(columns).validate(rows, lazy=True)
    except pa.errors.SchemaErrors as error:
        return pd.Index(error.failure_cases["index"].unique())
    return pd.Index([])


def _empty(
    rows: pd.DataFrame, column: str, failed: pd.Series, code: str, issues: list, **details: str
) -> tuple[pd.DataFrame, list]:
    """Empty the failed values of a column, with an issue each."""
    issues = [*issues, _issue(rows[failed], code, column=column, **details)]
    return rows.assign(**{column: rows[column].mask(failed)}), issues


def _decode(rows: pd.DataFrame, column: str, labels: dict[str, str], issues: list) -> tuple[pd.DataFrame, list]:
    """Replace codes by the code book's labels, and by F and M for sex."""
    rows = rows.assign(**{column: tidy_codes(rows[column])})
    listed = pd.Series(labels, dtype="str")
    missing = listed.index[listed.str.contains(MISSING_LABEL, case=False)]
    is_coded = rows[column].isin(missing) | pd.to_numeric(rows[column], errors="coerce").isin(MISSING_CODES)
    rows, issues = _empty(rows, column, is_coded, "missing_code", issues)
    decoded = rows[column].map(listed[listed != ""]).astype("str").fillna(rows[column])
    if column != "sex":
        return rows.assign(**{column: decoded}), issues
    sex = decoded.str.casefold().map(SEXES)
    unknown = rows["sex"].notna() & sex.isna()
    return _empty(rows.assign(sex=sex), "sex", unknown, "implausible_value", issues, allowed="F or M")


def _to_number(
    rows: pd.DataFrame, column: str, labels: dict[str, str], has_semicolons: bool, issues: list
) -> tuple[pd.DataFrame, list]:
    """Replace texts by finite numbers; missing codes, and all values that a code book lists, never become one."""
    if column == "age_years":
        rows = rows.assign(age_years=rows["age_years"].str.replace(r"^(\d{3})Y$", r"\1", regex=True))
    if has_semicolons and rows[column].str.contains(",", regex=False).any():
        mixed = rows[column].str.contains(".", regex=False, na=False)
        rows, issues = _empty(rows, column, mixed, "mixed_decimals", issues)
        rows = rows.assign(**{column: rows[column].str.replace(",", ".", regex=False)})
    listed = pd.to_numeric(pd.Series(list(labels), dtype="str").str.replace(",", "."), errors="coerce")
    numbers = pd.to_numeric(rows[column], errors="coerce").astype(float).replace([np.inf, -np.inf], np.nan)
    is_coded = numbers.isin([*MISSING_CODES, *listed.dropna()])
    rows, issues = _empty(rows, column, is_coded, "missing_code", issues)
    rows, issues = _empty(rows, column, rows[column].notna() & numbers.isna(), "invalid_value", issues)
    return rows.assign(**{column: numbers.where(rows[column].notna())}), issues


def _convert_unit(rows: pd.DataFrame, column: str, issues: list) -> tuple[pd.DataFrame, list]:
    """Convert a column in which most values are plausible in the other unit only; empty those that are in neither's."""
    (low, high), (unit, factor) = LIMITS[column], OTHER_UNITS[column]
    in_own = rows[column].between(low, high)
    in_other = rows[column].between(low / factor, high / factor)
    if in_other.sum() * 2 <= rows[column].notna().sum():
        return _empty(rows, column, in_other, "unit_differs", issues, unit=unit)
    rows, issues = _empty(rows, column, in_own, "unit_differs", issues, unit=UNITS[column])
    of_column = pd.DataFrame(index=[pd.NA])
    issues = [*issues, _issue(of_column, "unit_converted", column=column, unit=unit)]
    return rows.assign(**{column: (rows[column] * factor).round(6)}), issues


def _empty_implausible(rows: pd.DataFrame, issues: list) -> tuple[pd.DataFrame, list]:
    for column in [column for column in LIMITS if column in rows]:
        low, high = LIMITS[column]
        failed = rows[column].notna() & ~rows[column].between(low, high)
        allowed = f"within {low} to {high} {UNITS[column]}"
        rows, issues = _empty(rows, column, failed, "implausible_value", issues, allowed=allowed)
    return rows, issues


def _compute_bmi(rows: pd.DataFrame, issues: list) -> tuple[pd.DataFrame, list]:
    """Compute the BMI; a delivered one is compared and not kept."""
    bmi = rows["weight_kg"] / (rows["height_cm"] / 100) ** 2
    if "bmi_kg_m2" in rows:
        differs = (rows["bmi_kg_m2"] - bmi).abs() > BMI_TOLERANCE_KG_M2
        issues = [*issues, _issue(rows[differs], "bmi_differs", column="bmi_kg_m2")]
    return rows.assign(bmi_kg_m2=bmi), issues


def _table(rows: pd.DataFrame, issues: list[pd.DataFrame]) -> CohortTable:
    listed = pd.concat(issues, ignore_index=True).sort_values(
        "item", kind="stable", ignore_index=True, na_position="first"
    )
    columns = {"item": str, "code": str, "message": str, "participant_id": str}
    return CohortTable(rows.reset_index(drop=True), listed.astype(columns))
