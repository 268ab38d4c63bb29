-- z-scores and percentiles of persons against the current norms.
CREATE TABLE IF NOT EXISTS scores.phenotype_z (
    analysis_set VARCHAR NOT NULL,
    study VARCHAR NOT NULL,
    participant_id VARCHAR NOT NULL,
    visit VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    model_version VARCHAR NOT NULL,
    measure VARCHAR NOT NULL,
    z DOUBLE,
    percentile_pct DOUBLE,
    z_by_age DOUBLE,
    percentile_by_age_pct DOUBLE,
    reason VARCHAR
);
COMMENT ON TABLE scores.phenotype_z IS 'Phenotype z-score. Every person, visit and measure that has norms; research file only.';
COMMENT ON COLUMN scores.phenotype_z.analysis_set IS 'Analysis set. That of the norms, in ref.analysis_set.';
COMMENT ON COLUMN scores.phenotype_z.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN scores.phenotype_z.participant_id IS 'Participant. Pseudonym as delivered.';
COMMENT ON COLUMN scores.phenotype_z.visit IS 'Visit. Verbatim text.';
COMMENT ON COLUMN scores.phenotype_z.source IS 'Source. measured (on masks) or imported (through measurements.csv).';
COMMENT ON COLUMN scores.phenotype_z.model_version IS 'Model. Version of the segmentation model; "imported" where imported.';
COMMENT ON COLUMN scores.phenotype_z.measure IS 'Measure. Name in ref.measure.';
COMMENT ON COLUMN scores.phenotype_z.z IS 'z-score. Given sex, age and BMI. [1]';
COMMENT ON COLUMN scores.phenotype_z.percentile_pct IS 'Percentile. Given sex, age and BMI. [%]';
COMMENT ON COLUMN scores.phenotype_z.z_by_age IS 'z-score by age. Given sex and age, among all BMI. [1]';
COMMENT ON COLUMN scores.phenotype_z.percentile_by_age_pct IS 'Percentile by age. Given sex and age, among all BMI. [%]';
COMMENT ON COLUMN scores.phenotype_z.reason IS 'Reason. Why z is NULL; NULL where it is not.';

WITH person AS (
    SELECT
        norms.analysis_set, value.study, value.participant_id, value.visit, value.source, value.model_version,
        value.measure, value.value, phenotype.sex, phenotype.age_years, phenotype.bmi_kg_m2
    FROM marts.phenotype_value AS value
    JOIN marts.muscle_phenotype AS phenotype USING (study, participant_id, visit, source, model_version)
    JOIN (SELECT DISTINCT analysis_set, measure FROM norms.centile_model) AS norms ON norms.measure = value.measure
), score AS (
    SELECT
        *,
        CASE WHEN bmi_kg_m2 IS NOT NULL THEN z_score(measure, sex, age_years, bmi_kg_m2, value) END AS z,
        z_score(measure, sex, age_years, NULL, value) AS z_by_age
    FROM person
)
SELECT
    analysis_set, study, participant_id, visit, source, model_version, measure,
    z, 100 * normal_cdf(z) AS percentile_pct, z_by_age, 100 * normal_cdf(z_by_age) AS percentile_by_age_pct,
    CASE
        WHEN z IS NOT NULL THEN NULL
        WHEN sex IS NULL THEN 'sex missing'
        WHEN age_years IS NULL THEN 'age missing'
        WHEN bmi_kg_m2 IS NULL THEN 'height or weight missing'
        WHEN value <= 0 THEN 'value not positive'
        ELSE 'outside the reference range'
    END AS reason
FROM score;
