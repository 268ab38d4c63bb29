"""Delivered tables and code books: a file in, text cells under the warehouse's own column names out.

Belongs here: endings, separators, encodings, decimal commas, column names, records that do not fit their header, code
books. Does not belong here: what a value means or whether it is plausible (`participants.py`).

Dialects (science.md, section 3): the plain one (comma, UTF-8), NAKO's (semicolon, latin-1 or UTF-8, decimal point or
comma; derived variables prefixed `a_`), recognised by its separator, and Parquet, recognised by the file's ending.
Sentences name neither cells, nor header texts, nor file names.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

CODE_BOOK_ENDING = "_metadaten.csv"
CODE_BOOK_COLUMNS = ["variablenname", "auspraegung-wert", "auspraegung-label"]
NOTHING = ("", "#N/A", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null")
LINE_BREAK = re.compile(rb"\r\n|\n|\r")
UTF8_MARK = b"\xef\xbb\xbf"


class UnreadableTable(ValueError):
    """A file is no table of the kind asked for; the message is a sentence that says why."""


@dataclass(frozen=True)
class DeliveredTable:
    """The columns asked for, as delivered.

    Attributes
    ----------
    cells : DataFrame
        Stripped text, null where empty; indexed by record number (from 1, below the header).
    misfits : ndarray of int
        Numbers of the records with more or fewer fields than the header; they are not in `cells`.
    has_semicolons : bool
        The dialect in which a comma in a number is a decimal comma.
    """

    cells: pd.DataFrame
    misfits: np.ndarray
    has_semicolons: bool


def read_header(path: Path) -> list[str]:
    """Return the delivered column names, stripped.

    Raises
    ------
    UnreadableTable
        The file has no header that can be read.
    """
    if _is_parquet(path):
        return [name.strip() for name in _parquet_names(path)]
    header, _ = _split_header(*_read_bytes(path))
    return header


def choose_columns(
    header: list[str], accepted: Mapping[str, tuple[str, ...]], mapping: Mapping[str, str], optional: Iterable[str] = ()
) -> dict[str, str]:
    """Return the delivered name of each of the warehouse's columns that is there.

    Parameters
    ----------
    header : list of str
        Delivered column names.
    accepted : mapping of str to tuple of str
        Per column of the warehouse the names it may come under; the first that is there is taken.
    mapping : mapping of str to str
        `[columns]` of release.toml: column of the warehouse -> delivered name; goes before `accepted`.
    optional : iterable of str
        Columns that may be absent, unless mapped.

    Raises
    ------
    UnreadableTable
        A required or mapped column is absent, a column of that name comes twice, or no such column can be mapped.
    """
    unknown = sorted(set(mapping) - set(accepted))
    if unknown:
        raise UnreadableTable(
            f"The column mapping names {', '.join(unknown)}: only {', '.join(accepted)} can be mapped."
        )
    names = dict(accepted) | {column: (name,) for column, name in mapping.items()}
    present = {column: [name for name in names[column] if name in header] for column in names}
    chosen = {column: found[0] for column, found in present.items() if found}
    required = set(accepted) - set(optional) | set(mapping)
    absent = [column for column in accepted if column in required and column not in chosen]
    if absent:
        listed = ", ".join(_with_alternatives(column, accepted[column]) for column in absent)
        raise UnreadableTable(
            f"The table lacks the required columns {listed}: deliver them (participants: or map them)."
        )
    repeated = [column for column, name in chosen.items() if header.count(name) > 1]
    if repeated:
        raise UnreadableTable(f"The table has more than one column for {', '.join(repeated)}: keep one of each.")
    return chosen


def read_columns(path: Path, chosen: Mapping[str, str]) -> DeliveredTable:
    """Read these columns of a delivered table and no others.

    Parameters
    ----------
    path : Path
        Parquet where it ends in `.parquet`, else text.
    chosen : mapping of str to str
        Result of `choose_columns`.

    Raises
    ------
    UnreadableTable
        The file cannot be read, has cells that run over several lines, or no record fits its header.
    """
    if _is_parquet(path):
        return DeliveredTable(_read_parquet(path, chosen), np.array([], dtype=int), has_semicolons=False)
    content, separator = _read_bytes(path)
    header, body = _split_header(content, separator)
    positions = {column: str(header.index(name)) for column, name in chosen.items()}
    table, misfits = _parse(len(header), body, separator, sorted(set(positions.values())))
    n_records = table.num_rows + len(misfits)
    if n_records != sum(1 for line in body.splitlines() if line):
        raise UnreadableTable(
            "The file is not a readable table: a cell runs over several lines. Look for a stray quotation mark."
        )
    if n_records and not table.num_rows:
        raise UnreadableTable("The file is not a readable table: no record has as many fields as the header.")
    records = np.setdiff1d(np.arange(1, n_records + 1), misfits)
    cells = pd.DataFrame({column: table[name].to_pandas() for column, name in positions.items()}, dtype="str")
    return DeliveredTable(_tidy(cells.set_axis(records)), misfits, has_semicolons=separator == ";")


def find_code_book(table: Path) -> Path | None:
    """Return the code book (`*_Metadaten.csv`) that lies beside a table, if there is one.

    Raises
    ------
    UnreadableTable
        There are several.
    """
    found = [path for path in Path(table).parent.iterdir() if path.name.casefold().endswith(CODE_BOOK_ENDING)]
    if len(found) > 1:
        raise UnreadableTable("Several code books (*_Metadaten.csv) lie beside the table: leave the one that fits it.")
    return found[0] if found else None


def read_code_book(path: Path) -> dict[str, dict[str, str]]:
    """Read a NAKO code book: Variablenname; Label; Auspraegung-Wert; Auspraegung-Label.

    Returns
    -------
    dict
        Delivered variable name -> value as text (`tidy_codes`) -> its label.

    Raises
    ------
    UnreadableTable
        The file is no such code book.
    """
    header = read_header(path)
    names = {name.casefold().replace("ä", "ae"): name for name in header}
    if not set(CODE_BOOK_COLUMNS) <= set(names):
        raise UnreadableTable("The code book lacks Variablenname, Auspraegung-Wert or Auspraegung-Label.")
    delivered = read_columns(path, {column: names[column] for column in CODE_BOOK_COLUMNS})
    if len(delivered.misfits):
        raise UnreadableTable("The code book has records with more or fewer fields than its header: correct them.")
    variable, value, label = (delivered.cells[column] for column in CODE_BOOK_COLUMNS)
    listed = pd.DataFrame({"variable": variable.ffill(), "value": tidy_codes(value), "label": label.fillna("")})
    groups = listed.dropna(subset=["variable", "value"]).groupby("variable")
    return {name: dict(zip(group["value"], group["label"], strict=True)) for name, group in groups}


def tidy_codes(texts: pd.Series) -> pd.Series:
    """Return codes without the decimals that spreadsheets and data frames add: `1.0` and `1,0` become `1`."""
    return texts.str.replace(r"^(\d+)[.,]0*$", r"\1", regex=True)


def _is_parquet(path: Path) -> bool:
    return Path(path).suffix.casefold() == ".parquet"


def _with_alternatives(column: str, names: tuple[str, ...]) -> str:
    others = [name for name in names if name != column]
    return f"{column} (or {', '.join(others)})" if others else column


def _read_bytes(path: Path) -> tuple[bytes, str]:
    """Return a text table in UTF-8, and its separator."""
    content = Path(path).read_bytes()
    is_marked = content.startswith(UTF8_MARK)
    content = content.removeprefix(UTF8_MARK).lstrip(b"\r\n")
    separator = ";" if b";" in LINE_BREAK.split(content, maxsplit=1)[0] else ","
    try:
        content.decode()
    except UnicodeDecodeError:
        if is_marked or separator == ",":
            raise UnreadableTable("The file is not a readable table: it is not in UTF-8. Export it again.") from None
        content = content.decode("latin-1").encode()
    return content, separator


def _split_header(content: bytes, separator: str) -> tuple[list[str], bytes]:
    """Return the stripped column names and everything below the header."""
    header, *body = LINE_BREAK.split(content, maxsplit=1)
    if not header.strip():
        raise UnreadableTable("The file is not a readable table: it is empty.")
    names = next(csv.reader(io.StringIO(header.decode()), delimiter=separator))
    return [name.strip() for name in names], b"".join(body)


def _parse(n_columns: int, body: bytes, separator: str, wanted: list[str]) -> tuple[pa.Table, np.ndarray]:
    """Return the wanted columns (named by position) as text, and the numbers of the records that do not fit."""
    misfits = []

    def skip(row: pyarrow.csv.InvalidRow) -> str:
        misfits.append(row.number - 1)
        return "skip"

    header = separator.join(map(str, range(n_columns))).encode() + b"\n"
    try:
        table = pyarrow.csv.read_csv(
            pa.py_buffer(header + body),
            pyarrow.csv.ReadOptions(use_threads=False),
            pyarrow.csv.ParseOptions(delimiter=separator, invalid_row_handler=skip),
            pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(wanted, pa.string()), include_columns=wanted),
        )
    except pa.ArrowException:
        raise UnreadableTable("The file is not a readable table: it is damaged, or no text table.") from None
    return table, np.array(misfits, dtype=int)


def _parquet_names(path: Path) -> list[str]:
    try:
        return pyarrow.parquet.read_schema(path).names
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        raise UnreadableTable(
            "The file is not a readable table: it is no complete Parquet file. Deliver it again."
        ) from None


def _read_parquet(path: Path, chosen: Mapping[str, str]) -> pd.DataFrame:
    """Return the chosen columns as text; whole numbers without decimals."""
    names = {name.strip(): name for name in _parquet_names(path)}
    try:
        table = pyarrow.parquet.read_table(path, columns=[names[name] for name in chosen.values()])
        texts = {column: table[names[name]].cast(pa.string()) for column, name in chosen.items()}
        pa.table(texts).validate(full=True)
    except (pa.ArrowException, OSError):
        raise UnreadableTable(
            "The file is not a readable table: a Parquet column is damaged, or neither numbers nor text."
        ) from None
    cells = pd.DataFrame({column: text.to_pandas() for column, text in texts.items()}, dtype="str")
    return _tidy(cells.set_axis(pd.RangeIndex(1, len(cells) + 1)))


def _tidy(cells: pd.DataFrame) -> pd.DataFrame:
    """Return stripped cells, null where they hold nothing."""
    stripped = cells.apply(lambda column: column.str.strip())
    return stripped.mask(stripped.isin(NOTHING))
