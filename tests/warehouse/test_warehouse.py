"""The warehouse file as the assets see it."""

import pytest

from dagster_project import warehouse
from dagster_project.settings import Settings
from dagster_project.warehouse import Warehouse, find_drift


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
