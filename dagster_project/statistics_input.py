"""What every cohort statistic is computed from: one value per person and measure, at the first analysed visit."""

import duckdb
import pandas as pd

# Kinds of measures that get percentiles, correlations, regressions and norms.
RANKED = ("muscle", "declared")


def read_values(connection: duckdb.DuckDBPyConnection, *kinds: str) -> pd.DataFrame:
    """One row per person and measure of the analysis set, at the person's first analysed visit, with covariates, bands and quality."""
    return connection.execute(
        """
        SELECT
            analysis_set, measure, value,
            person.sex, person.age_years, person.height_cm, person.weight_kg, person.bmi_kg_m2, person.centre,
            person.age_band, person.bmi_band,
            EXISTS (
                FROM imaging.quality AS quality
                WHERE quality.verdict = 'warn' AND (quality.study, quality.participant_id, quality.visit, quality.model_version)
                    = (person.study, person.participant_id, person.visit, person.model_version)
            ) AS is_warned
        FROM marts.phenotype_value
        JOIN marts.analysed_person AS person USING (study, participant_id, visit, source, model_version)
        JOIN ref.measure USING (measure)
        WHERE list_contains($kinds, kind)
        ORDER BY measure, participant_id
        """,
        {"kinds": list(kinds)},
    ).df()
