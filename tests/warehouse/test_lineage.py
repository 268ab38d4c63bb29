"""Column lineage against what the SQL says to a reader."""

import pytest

from dagster_project.catalog import compile_catalog
from dagster_project.lineage import describe_lineage, trace_columns


@pytest.mark.parametrize(
    ("table", "column", "sources"),
    [
        (
            "marts.muscle_phenotype",
            "csa_psoas_total_per_height2_cm2_m2",
            {("imaging.muscle", "max_csa_cm2"), ("raw.measurement", "value"), ("raw.participant", "height_cm")},
        ),
        (
            "marts.muscle_phenotype",
            "volume_gluteus_left_l",
            {("imaging.muscle", "volume_ml"), ("raw.measurement", "value")},
        ),
        ("marts.muscle_phenotype", "sex", {("raw.participant", "sex")}),
        ("marts.muscle_phenotype", "age_years", {("raw.participant", "age_years")}),
        ("stats.sex_difference", "lower_in_women_pct", {("stats.descriptive", "mean")}),
    ],
)
def test_columns_come_from_where_the_sql_takes_them(table, column, sources):
    assert trace_columns(table)[column] == sources


def test_every_source_is_a_column_of_the_catalog():
    tables = compile_catalog().tables
    names = {(name, column.name) for name, table in tables.items() for column in table.columns}
    for name, table in tables.items():
        if table.query:
            assert set().union(*trace_columns(name).values()) <= names, name


def test_dagster_gets_it():
    lineage = describe_lineage("marts.muscle_phenotype").deps_by_column["sex"]
    assert [(dep.asset_key.path, dep.column_name) for dep in lineage] == [(["raw", "participant"], "sex")]
