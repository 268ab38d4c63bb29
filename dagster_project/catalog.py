"""The tables of sql/, compiled on an empty in-memory DuckDB: columns, units, upstream tables, code version.

What belongs here: reading the declarations. Running them against the warehouse is `warehouse.py`'s work.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import duckdb

SQL = Path(__file__).parent.parent / "sql"
SCHEMAS = ("ref", "raw", "imaging", "marts", "stats", "norms", "scores", "meta")
PUBLIC_SCHEMAS = ("ref", "stats", "norms", "meta")
_COMMENT = re.compile(r"(?P<label>.*?)\.(?:\s(?P<details>.*?))?\s*(?:\[(?P<unit>[^\]]+)\])?$", re.DOTALL)


@dataclass(frozen=True)
class Column:
    """A column as its comment describes it: '<Label>. <Details.> [<unit>]'."""

    name: str
    data_type: str
    label: str
    details: str | None
    unit: str | None


@dataclass(frozen=True)
class Table:
    """A table of the warehouse: `declaration` creates and comments it, `query` fills it (None: a Python asset does)."""

    schema: str
    name: str
    declaration: str
    query: str | None
    comment: str
    columns: tuple[Column, ...]
    upstream: frozenset[str]
    code_version: str

    @property
    def full_name(self) -> str:
        """schema.table."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True)
class Catalog:
    """All tables by full name, in the order of the schemas, and the scripts that follow them.

    `formulas` reads public schemas only and belongs in both published files; views and macros read all schemas.
    """

    tables: dict[str, Table]
    views: str
    macros: str
    formulas: str


def parse_comment(comment: str) -> tuple[str, str | None, str | None]:
    """Split a comment into label, details and unit; the latter two may be None.

    Raises
    ------
    ValueError
        If the comment does not follow the grammar.

    Examples
    --------
    >>> parse_comment('Age. At the visit. [years]')
    ('Age', 'At the visit.', 'years')
    """
    match = _COMMENT.match(comment)
    if not match:
        raise ValueError(f"the comment {comment!r} does not read '<Label>. <Details.> [<unit>]'")
    return match["label"], match["details"] or None, match["unit"]


def describe_comment(column: Column) -> str:
    """The comment of a column, put together again.

    >>> describe_comment(Column("age_years", "DOUBLE", "Age", "At the visit.", "years"))
    'Age. At the visit. [years]'
    """
    parts = [f"{column.label}.", column.details, f"[{column.unit}]" if column.unit else None]
    return " ".join(filter(None, parts))


@lru_cache
def compile_catalog(folder: Path = SQL) -> Catalog:
    """Compile every file of sql/ on an empty database.

    Raises
    ------
    duckdb.Error
        If a file does not compile.
    ValueError
        If a file has more than a declaration and one SELECT, or a table or column has no proper comment.
    """
    connection = duckdb.connect()
    sources = {
        f"{schema}.{path.stem}": path.read_text(encoding="utf-8")
        for schema in SCHEMAS
        for path in sorted((folder / schema).glob("*.sql"))
    }
    for schema in SCHEMAS:
        connection.execute(f"CREATE SCHEMA {schema}")
    split = {name: _split(connection, source) for name, source in sources.items()}
    views = {name: declaration for name, (declaration, _) in split.items() if "CREATE OR REPLACE VIEW" in declaration}
    for name, (declaration, _) in split.items():
        if name not in views:
            connection.execute(declaration)
    views_script = "\n".join(views.values())
    connection.execute(views_script)
    formulas, macros = ((folder / name).read_text(encoding="utf-8") for name in ("formulas.sql", "macros.sql"))
    connection.execute(formulas)
    connection.execute(macros)
    tables = {
        name: _describe(connection, name, declaration, query, sources[name])
        for name, (declaration, query) in split.items()
        if name not in views
    }
    return Catalog(tables, views_script, macros, formulas)


def _split(connection: duckdb.DuckDBPyConnection, source: str) -> tuple[str, str | None]:
    statements = connection.extract_statements(source)
    queries = [statement.query.strip() for statement in statements if statement.type == duckdb.StatementType.SELECT]
    if len(queries) > 1:
        raise ValueError("a table's file ends in at most one SELECT")
    declaration = [statement.query.strip() for statement in statements if statement.type != duckdb.StatementType.SELECT]
    return ";\n".join([*declaration, ""]), queries[0] if queries else None


def _describe(
    connection: duckdb.DuckDBPyConnection, name: str, declaration: str, query: str | None, source: str
) -> Table:
    schema, table = name.split(".")
    (comment,) = connection.execute(
        "SELECT comment FROM duckdb_tables() WHERE schema_name = ? AND table_name = ?", [schema, table]
    ).fetchone()
    rows = connection.execute(
        "SELECT column_name, data_type, comment FROM duckdb_columns() WHERE schema_name = ? AND table_name = ? ORDER BY column_index",
        [schema, table],
    ).fetchall()
    columns = tuple(Column(column, data_type, *parse_comment(text or "")) for column, data_type, text in rows)
    parse_comment(comment or "")
    upstream = frozenset()
    if query:
        connection.execute(f"INSERT INTO {name} BY NAME {query}")
        upstream = frozenset(_read_tables(connection, query))
    code_version = hashlib.sha256(source.encode()).hexdigest()[:12]
    return Table(schema, table, declaration, query, comment, columns, upstream, code_version)


def _read_tables(connection: duckdb.DuckDBPyConnection, query: str) -> Iterator[str]:
    """Tables a query reads, those behind views included."""
    (tree,) = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [query]).fetchone()
    for name in _base_tables(json.loads(tree)):
        view = connection.execute(
            "SELECT sql FROM duckdb_views() WHERE schema_name || '.' || view_name = ? AND NOT internal", [name]
        ).fetchone()
        if view:
            yield from _read_tables(
                connection, re.sub(r"^CREATE VIEW .*? AS ", "", view[0].rstrip().rstrip(";"), flags=re.DOTALL)
            )
        else:
            yield name


def _base_tables(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if node.get("type") == "BASE_TABLE" and node.get("schema_name"):
            yield f"{node['schema_name']}.{node['table_name']}"
        for child in node.values():
            yield from _base_tables(child)
    elif isinstance(node, list):
        for child in node:
            yield from _base_tables(child)
