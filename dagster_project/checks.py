"""The checks of sql/checks: each file selects violating rows, its first comment line says what holds.

What belongs here: reading and asking them. As asset checks they are `defs/sql_assets.py`'s; the publication asks all of them once
more, so that nothing is published past a check by running a part of a job.
"""

from dataclasses import dataclass
from functools import lru_cache

import duckdb

from dagster_project.catalog import SQL


@dataclass(frozen=True)
class Check:
    """`<schema>__<table>__<name>.sql`."""

    schema: str
    table: str
    name: str
    description: str
    query: str

    @property
    def full_name(self) -> str:
        """schema.table:name."""
        return f"{self.schema}.{self.table}:{self.name}"

    def count_violations(self, connection: duckdb.DuckDBPyConnection) -> int:
        """Number of violating rows."""
        return connection.execute(f"SELECT count(*) FROM ({self.query})").fetchone()[0]


@lru_cache
def list_checks() -> tuple[Check, ...]:
    """All checks, by file name."""
    checks = []
    for path in sorted((SQL / "checks").glob("*.sql")):
        description, _, query = path.read_text(encoding="utf-8").removeprefix("--").partition("\n")
        checks.append(Check(*path.stem.split("__"), description.strip(), query.strip().rstrip(";")))
    return tuple(checks)


def find_failing(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Full names of the checks that have violations."""
    return [check.full_name for check in list_checks() if check.count_violations(connection)]
