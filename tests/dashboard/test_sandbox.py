"""The SQL sandbox: what it runs, and each way out of it that we know."""

from pathlib import Path

import pytest

from dashboard import confined, sandbox

SECRET = "a line that only the server may read"


@pytest.fixture
def file(published: Path) -> Path:
    """Return a published file."""
    return published / "snapshots" / "current" / "normative.duckdb"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Return a file that the server can read."""
    path = tmp_path / "secret.csv"
    path.write_text(SECRET)
    return path


def test_a_query_gives_columns_and_rows(file: Path) -> None:
    """Of the last statement, NULL as None."""
    result = sandbox.run(
        file, "SELECT 1; SELECT sex, NULL AS nothing, count(*) AS n FROM norms.lms GROUP BY ALL ORDER BY sex"
    )
    assert result.columns == ["sex", "nothing", "n"]
    assert result.rows == [["F", None, 1275], ["M", None, 1275]]
    assert not result.is_cut


def test_the_functions_of_the_file_work(file: Path) -> None:
    """Readers' macros are part of it."""
    (row,) = sandbox.run(file, "SELECT round(percentile('csa_psoas_total_cm2', 'F', 54, 27, 22.5))").rows
    assert 0 < row[0] < 100


def test_types_without_json_become_text(file: Path) -> None:
    """Dates, decimals, bytes."""
    (row,) = sandbox.run(file, "SELECT DATE '2026-01-01', 1.5::DECIMAL(4, 2), [1, 2], 'a'::BLOB").rows
    assert row[:3] == ["2026-01-01", "1.50", [1, 2]]


def test_rows_are_cut_and_the_reader_is_told(file: Path) -> None:
    """A million rows do not travel."""
    result = sandbox.run(file, "FROM range(1000000)")
    assert len(result.rows) == sandbox.MOST_ROWS and result.is_cut


def test_a_mistake_has_duckdbs_own_message(file: Path) -> None:
    """It says what to do."""
    with pytest.raises(sandbox.Refused, match="lsm.*does not exist"):
        sandbox.run(file, "FROM norms.lsm")


ESCAPES = {
    "read a table": "FROM read_csv('{secret}', header = false)",
    "read by name": "FROM '{secret}'",
    "read text": "FROM read_text('{secret}')",
    "read bytes": "FROM read_blob('{secret}')",
    "list files": "FROM glob('{folder}/*')",
    "guess a dialect": "FROM sniff_csv('{secret}')",
    "attach a file": "ATTACH '{folder}/other.duckdb' AS other",
    "attach over the network": "ATTACH 'http://127.0.0.1:9/x.duckdb' AS other",
    "read over the network": "FROM read_csv('http://127.0.0.1:9/x.csv')",
    "write a table": "COPY (SELECT 1) TO '{folder}/out.csv'",
    "write the database": "EXPORT DATABASE '{folder}/out'",
    "change the file": "DELETE FROM norms.lms",
    "drop from the file": "DROP TABLE norms.lms",
    "install an extension": "INSTALL httpfs",
    "load an extension": "LOAD '{folder}/evil.duckdb_extension'",
    "open access again": "SET enable_external_access = true",
    "open access for all": "SET GLOBAL enable_external_access = true",
    "reset the settings": "RESET enable_external_access",
    "allow a folder": "SET allowed_directories = ['{folder}']",
    "unlock the settings": "SET lock_configuration = false",
    "raise the memory": "SET memory_limit = '100GB'",
    "keep a log": "SET log_query_path = '{folder}/log'",
    "spill to disk": "SET temp_directory = '{folder}'",
    "profile into a file": "SET profiling_output = '{folder}/profile.json'",
    "see variables": "FROM sql",
    "see the caller": "FROM request",
    "read the environment": "SELECT getenv('HOME')",
}


@pytest.mark.parametrize("way", ESCAPES)
def test_no_way_out(file: Path, secret: Path, way: str) -> None:
    """Refused, nothing read, nothing written."""
    with pytest.raises(sandbox.Refused) as refusal:
        sandbox.run(file, ESCAPES[way].format(secret=secret, folder=secret.parent))
    assert SECRET not in str(refusal.value)
    assert [path.name for path in secret.parent.iterdir()] == ["secret.csv"]
    assert sandbox.run(file, "SELECT count(*) FROM norms.lms").rows == [[2550]]


def test_an_endless_query_is_killed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In time, whatever DuckDB thinks of interrupts."""
    monkeypatch.setattr(sandbox, "SECONDS", 2)
    with pytest.raises(sandbox.Refused, match="time"):
        sandbox.run(
            file,
            "SELECT count(*) FROM range(100000) a, range(100000) b, range(1000) c WHERE a.range * b.range = c.range",
        )


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT length(repeat('x', 3000000000))",
        "SELECT len(list(a.range)) FROM range(400000000) a",
        "SELECT len(string_agg(repeat('x', 1000000), '')) FROM range(4000)",
    ],
)
def test_a_greedy_query_is_ended(file: Path, sql: str) -> None:
    """Memory is limited by the operating system, not by DuckDB's word."""
    with pytest.raises(sandbox.Refused):
        sandbox.run(file, sql)


def test_a_result_that_is_too_large_does_not_travel(file: Path) -> None:
    """Nor does a text that is too long get in."""
    with pytest.raises(sandbox.Refused, match="size"):
        sandbox.run(file, "SELECT repeat('x', 100000) FROM range(1000)")
    with pytest.raises(sandbox.Refused, match="length"):
        sandbox.run(file, "SELECT 1 -- " + "x" * sandbox.LONGEST_SQL)


def test_the_child_has_no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keys of the server are not there to be read."""
    monkeypatch.setenv("MYONORM_SECRET_KEY", SECRET)
    monkeypatch.setattr(confined, "HERE", tmp_path)
    (tmp_path / "child.py").write_text("import os; print(dict(os.environ))")
    assert SECRET not in confined.run("child.py", b"", 5, 300).decode()
