"""Tables 1 to 4 as pages: what people read where numbers are there, held back, or older."""

import re

import pytest

from dagster_project.catalog import SQL
from dagster_project.paper_tables import render_tables

ROWS = f"""
    INSERT INTO ref.measure BY NAME FROM read_csv('{SQL}/ref/measure.csv');
    INSERT INTO ref.analysis_set VALUES ('s', 'synthetic', 'measured', 'v1', true);
    INSERT INTO stats.descriptive BY NAME
    SELECT 's' AS analysis_set, measure, sex, n, 50 AS pct, 24.466 AS mean, 3.65 AS sd, 24.41 AS ci_low, 24.53 AS ci_high, suppression
    FROM (VALUES ('csa_psoas_total_cm2', 'F', 12262, NULL), ('csa_psoas_total_cm2', 'M', 15543, 'unchanged since x (fewer than 10 persons changed)'))
        AS t (measure, sex, n, suppression);
    INSERT INTO stats.correlation BY NAME
    SELECT 's' AS analysis_set, 'csa_psoas_total_cm2' AS measure, 'age_years' AS covariate, sex, n, r, r - 0.1 AS ci_low, r + 0.1 AS ci_high,
        0.0001 AS p_holm, r AS spearman, 'weak' AS strength, suppression
    FROM (VALUES ('F', 100, -0.2, 'unchanged since x (fewer than 10 persons changed)'), ('M', NULL, NULL, 'withheld (fewer than 10 persons changed)'))
        AS t (sex, n, r, suppression);
    INSERT INTO stats.training_set BY NAME
    SELECT 'synthetic' AS study, role, measure, 'F' AS sex, if(role = 'train', 40, NULL) AS n, if(role = 'train', 57.1, NULL) AS pct,
        if(role = 'train', 48.2, NULL) AS mean, if(role = 'train', 12.4, NULL) AS sd, if(role = 'train', NULL, 'suppressed (< 10)') AS suppression
    FROM unnest(['test', 'train']) AS t (role), unnest(['bmi_kg_m2', 'age_years']) AS u (measure);
    INSERT INTO stats.segmentation_score BY NAME
    SELECT 'synthetic' AS study, if(comparison = 'automatic', 'v1', NULL) AS model_version, comparison, if(comparison = 'automatic', 'out_of_fold', NULL) AS validation,
        compartment, 'left' AS side, metric, 70 AS n, if(metric = 'specificity', 0.99987, 0.9211) AS mean, 0.0162 AS sd
    FROM unnest(['automatic', 'intra_reader']) AS t (comparison), unnest(['gluteus', 'psoas']) AS u (compartment), unnest(['specificity', 'dice']) AS v (metric);
"""


@pytest.fixture
def pages(connection) -> dict[str, str]:
    """The text of each page, its cells separated by a bar."""
    connection.execute(ROWS)
    return {name: read_text(page) for name, page in render_tables(connection).items()}


def read_text(page: str) -> str:
    body = re.sub(r"(?s)<style>.*?</style>", "", page)
    return re.sub(r"(\s*\|\s*)+", "|", re.sub(r"<[^>]+>", "|", body).replace("\u00a0", " "))


def test_all_four_are_there_and_say_that_the_data_are_synthetic(pages):
    assert sorted(pages) == ["table_1", "table_2", "table_3", "table_4"]
    assert all("Synthetic data: nobody in it is a real person." in text for text in pages.values())


def test_older_numbers_are_shown_and_a_note_says_so(pages):
    assert "|24.47 ± 3.65 (24.41–24.53)|24.47 ± 3.65 (24.41–24.53)|" in pages["table_1"]
    assert "Some numbers are those of an earlier snapshot" in pages["table_1"]
    assert "|−0.20 (−0.30 to −0.10)|weak, ρ −0.20, p &lt; 0.001|" in pages["table_4"].replace("< 0.001", "&lt; 0.001")


def test_reasons_stand_in_place_of_numbers_held_back(pages):
    assert "|withheld (fewer than 10 persons changed)|" in pages["table_4"]
    training = "|Training set|Persons (share)|40 (57.1 %)|Age, years|48.2 ± 12.4|Body mass index, kg/m²|48.2 ± 12.4|"
    held_out = "Held-out cases|Persons (share)|suppressed (&lt; 10)|Age, years|suppressed (&lt; 10)|"
    assert training + held_out in pages["table_2"]


def test_scores_have_headings_and_decimals_that_people_need(pages):
    assert "|Cases|Dice|Specificity|" in pages["table_3"]
    assert (
        "|v1, each case by the fold that did not see it|Psoas, left|70|0.921 ± 0.016|0.9999 ± 0.0162|"
        in pages["table_3"]
    )
    assert "|One reader, twice|Psoas, left|70|" in pages["table_3"] and "nan" not in pages["table_3"]
