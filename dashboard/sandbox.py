"""SQL that a reader typed, run in a confined child process on a published file.

Belongs here: the limits, the call of the child, and the child itself (this file run as a script).
Does not belong here: the page (views/sql.py), who may open it (access.py).

`read_only` is no sandbox: DuckDB reads and writes other files, loads extensions, sees the caller's DataFrames, takes more memory than
its limit and hears an interrupt late. So a child process without the server's data runs it: external access off, Python
replacement scans off, configuration locked, memory and time limited by the operating system, killed when it exceeds them.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

SECONDS, MEMORY_MB = 15, 2048
MOST_ROWS, MOST_MB = 10_000, 20
LONGEST_SQL = 20_000
LOCKED = """
SET threads = 1;
SET memory_limit = '1GB';
SET temp_directory = '';
SET autoinstall_known_extensions = false;
SET autoload_known_extensions = false;
SET allow_community_extensions = false;
SET python_enable_replacements = false;
SET enable_external_access = false;
SET lock_configuration = true;
"""


@dataclass(frozen=True)
class Result:
    """Columns and rows of the last statement; whether there were more rows than MOST_ROWS."""

    columns: list[str]
    rows: list[list[object]]
    is_cut: bool


class Refused(RuntimeError):
    """The query gave no result; the text is DuckDB's message, or one of the codes time, memory, size, length."""


def run(file: Path, sql: str) -> Result:
    """Return the result of SQL on a DuckDB file.

    Raises
    ------
    Refused
        It is wrong, not allowed, or exceeded a limit.
    """
    # pandas and Streamlit stay out of the child, which runs this very file.
    from dashboard import confined

    if len(sql) > LONGEST_SQL:
        raise Refused("length")
    request = json.dumps({"file": str(file), "sql": sql}).encode()
    try:
        answer = json.loads(confined.run("sandbox.py", request, SECONDS, MEMORY_MB))
    except confined.Exceeded as error:
        raise Refused(str(error)) from error
    if "refused" in answer:
        raise Refused(answer["refused"])
    return Result(**answer)


def _execute(file: str, sql: str) -> dict[str, object]:
    """Run SQL with everything else forbidden; a result that is too large is a refusal."""
    import duckdb

    try:
        with duckdb.connect(file, read_only=True) as connection:
            connection.execute(LOCKED)
            connection.execute(sql)
            columns = [column[0] for column in connection.description or []]
            rows = connection.fetchmany(MOST_ROWS + 1) if columns else []
    except MemoryError:
        return {"refused": "memory"}
    except duckdb.Error as error:
        return {"refused": "memory" if isinstance(error, duckdb.OutOfMemoryException) else str(error)}
    return {"columns": columns, "rows": rows[:MOST_ROWS], "is_cut": len(rows) > MOST_ROWS}


if __name__ == "__main__":
    text = json.dumps(_execute(**json.load(sys.stdin)), default=str)
    sys.stdout.write(text if len(text) < MOST_MB << 20 else json.dumps({"refused": "size"}))
