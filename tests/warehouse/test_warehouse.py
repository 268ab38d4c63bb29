"""The warehouse file as the assets see it."""

import pandas as pd
import pytest

from dagster_project import warehouse
from dagster_project.settings import Settings
from dagster_project.warehouse import Warehouse, find_drift, replace


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(warehouse, "load_settings", lambda: Settings(home=tmp_path))


def test_the_schema_is_declared_once_for_each_code_version(monkeypatch):
    with Warehouse().connect() as connection:
        assert find_drift(connection) == []
        connection.execute("DROP TABLE ref.band")
    with Warehouse().connect() as connection:
        assert any("ref.band" in line for line in find_drift(connection))
    monkeypatch.setattr(warehouse, "hash_code", lambda: "newer")
    with Warehouse().connect() as connection:
        assert find_drift(connection) == []
        assert connection.execute("SELECT getvariable('code_version')").fetchone() == ("newer",)


def test_a_declaration_that_breaks_off_leaves_nothing(monkeypatch):
    def fail(connection):
        connection.execute("CREATE SCHEMA ref")
        raise RuntimeError("killed")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="killed"):
        patch.setattr(warehouse, "declare_schema", fail)
        with Warehouse().connect():
            pass
    with Warehouse().connect() as connection:
        assert find_drift(connection) == []


def test_replace_touches_the_rows_of_its_key_alone(connection):
    """Both keys' rows lie in one table; a frame without rows removes."""
    connection.execute("CREATE TABLE t (a VARCHAR, b VARCHAR, x INTEGER)")
    connection.execute("INSERT INTO t VALUES ('p', '1', 1), ('p', '1', 2), ('p', '2', 3), ('q', '1', 4)")
    replace(connection, "t", {"a": "p", "b": "1"}, pd.DataFrame({"x": [7]}))
    assert connection.execute("FROM t ORDER BY ALL").fetchall() == [("p", "1", 7), ("p", "2", 3), ("q", "1", 4)]
    replace(connection, "t", {"a": "p", "b": "1"}, pd.DataFrame())
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (2,)
