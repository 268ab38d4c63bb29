"""Every table of sql/ is declared, commented, and looks upstream only."""

import re

import duckdb
import pytest

from dagster_project.catalog import SCHEMAS, SQL, compile_catalog, parse_comment
from dagster_project.warehouse import find_drift

CATALOG = compile_catalog()
UNIT_SUFFIX = re.compile(r"_(cm2|ml|l|mm|cm|kg|m2|years|pct|ms|deg|t|seconds)$")
NUMERIC = re.compile(r"^(DOUBLE|FLOAT|INTEGER|SMALLINT|BIGINT)")
SAYS_UNIT = re.compile(r"in the unit of|in years or kg/m2|per unit of the covariate", re.IGNORECASE)


@pytest.mark.parametrize("table", CATALOG.tables.values(), ids=CATALOG.tables)
def test_every_number_has_a_unit(table):
    for column in table.columns:
        if NUMERIC.match(column.data_type):
            assert column.unit or SAYS_UNIT.search(column.details or ""), column.name
        if UNIT_SUFFIX.search(column.name):
            assert column.unit or table.full_name.startswith("ref."), column.name


@pytest.mark.parametrize("table", CATALOG.tables.values(), ids=CATALOG.tables)
def test_queries_look_upstream_only(table):
    order = {schema: position for position, schema in enumerate(SCHEMAS)}
    for upstream in table.upstream:
        assert order[upstream.split(".")[0]] <= order[table.schema], upstream
        assert upstream != table.full_name


def test_upstream_tables_are_found_through_views_and_common_table_expressions():
    upstream = CATALOG.tables["marts.muscle_phenotype"].upstream
    assert {"raw.participant", "raw.release", "imaging.muscle", "ref.band"} <= upstream
    assert not any("current_" in name for name in upstream)


def test_every_result_names_its_code_version_and_what_it_is_of():
    for table in CATALOG.tables.values():
        columns = {column.name for column in table.columns}
        if table.schema in ("stats", "norms"):
            assert "code_version" in columns and columns & {"analysis_set", "study"}, table.full_name


@pytest.mark.parametrize("path", sorted((SQL / "checks").glob("*.sql")), ids=lambda path: path.stem)
def test_checks_say_what_they_check_and_run_on_an_empty_warehouse(path):
    source = path.read_text(encoding="utf-8")
    schema, table, _ = path.stem.split("__")
    assert source.startswith("-- ") and f"{schema}.{table}" in CATALOG.tables
    with duckdb.connect() as connection:
        _declare(connection)
        assert connection.execute(source).fetchall() == []


@pytest.mark.parametrize("path", sorted((SQL / "examples").glob("*.sql")), ids=lambda path: path.stem)
def test_examples_compile(path):
    with duckdb.connect() as connection:
        _declare(connection)
        connection.execute(path.read_text(encoding="utf-8"))


def _declare(connection):
    from dagster_project.warehouse import declare_schema

    declare_schema(connection)


def test_comment_grammar():
    assert parse_comment("Area. Of the slice. [cm2]") == ("Area", "Of the slice.", "cm2")
    assert parse_comment("Study.") == ("Study", None, None)
    with pytest.raises(ValueError, match="Label"):
        parse_comment("")


def test_the_macros_are_cole_and_greens_formula():
    with duckdb.connect() as connection:
        _declare(connection)
        for l, z in ((0.35, 1.5), (0.0, -2.0), (-1.2, 0.3)):
            (back,) = connection.execute(
                "SELECT lms_z(lms_value($z, $l, 24.0, 0.14), $l, 24.0, 0.14)", {"z": z, "l": l}
            ).fetchone()
            assert back == pytest.approx(z, abs=1e-12)
        assert connection.execute("SELECT lms_value(0, 0.35, 24.0, 0.14)").fetchone() == (24.0,)


def test_spatial_distribution_conserves_area():
    """One person, three slices of 1, 2 and 1 cm2: a third of the extent each, shares 25, 50 and 25 percent."""
    with duckdb.connect() as connection:
        _declare(connection)
        connection.execute(CATALOG_INSERT.format("ref.band", CATALOG.tables["ref.band"].query))
        connection.execute("INSERT INTO ref.analysis_set VALUES ('a', 's', 'imported', 'imported', true)")
        connection.execute(
            "INSERT INTO marts.muscle_phenotype BY NAME SELECT 's' AS study, 'p' AS participant_id, '30' AS visit,"
            " 'imported' AS source, 'imported' AS model_version, true AS is_first_visit, 'F' AS sex,"
            " 50 AS age_years, '50-59' AS age_band, 24 AS bmi_kg_m2"
        )
        for index, area in enumerate((1, 2, 1)):
            connection.execute(
                "INSERT INTO imaging.csa_profile BY NAME SELECT 's' AS study, 'p' AS participant_id, '30' AS visit,"
                " 'imported' AS model_version, 'psoas' AS compartment, 'left' AS side, $i AS slice_index, 0 AS z_mm,"
                " 0 AS position_pct, $a AS csa_cm2, 'r' AS release",
                {"i": index, "a": area},
            )
        rows = connection.execute(
            f"SELECT bin, mean_share_pct FROM ({CATALOG.tables['stats.profile'].query.rstrip(';')})"
            " WHERE sex = 'F' AND age_band IS NULL AND bmi_group = '<=25' ORDER BY bin"
        ).fetchall()
    shares = dict(rows)
    assert list(shares) == list(range(100)) and sum(shares.values()) == pytest.approx(100)
    assert sum(shares[b] for b in range(33)) + shares[33] / 5 == pytest.approx(25, abs=0.2)
    assert shares[0] == pytest.approx(0.75) and shares[50] == pytest.approx(1.5)
    assert shares[33] == pytest.approx(0.75 / 3 + 1.5 * 2 / 3)


CATALOG_INSERT = "INSERT INTO {} BY NAME {}"


def test_a_fresh_database_is_as_declared_and_drift_is_told():
    with duckdb.connect() as connection:
        _declare(connection)
        assert find_drift(connection) == []
        connection.execute("ALTER TABLE stats.descriptive DROP COLUMN pct")
        connection.execute("ALTER TABLE stats.descriptive ALTER n TYPE BIGINT")
        connection.execute("COMMENT ON COLUMN stats.descriptive.sd IS 'Spread.'")
        connection.execute("ALTER TABLE stats.descriptive ADD COLUMN extra INTEGER")
        told = [line.split(" is ")[0] for line in find_drift(connection)]
    assert told == [
        "stats.descriptive.n (INTEGER)",
        "stats.descriptive.pct (DOUBLE)",
        "stats.descriptive.sd (DOUBLE)",
        "stats.descriptive.extra (INTEGER)",
        "stats.descriptive.n (BIGINT)",
        "stats.descriptive.sd (DOUBLE)",
    ]
