-- Whether a release measures like those before it.
CREATE TABLE IF NOT EXISTS marts.release_drift (
    release VARCHAR NOT NULL,
    study VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    model_version VARCHAR NOT NULL,
    measure VARCHAR NOT NULL,
    sex VARCHAR NOT NULL,
    n INTEGER NOT NULL,
    n_earlier INTEGER NOT NULL,
    mean DOUBLE,
    expected_mean DOUBLE,
    sd_earlier DOUBLE,
    shift_sd DOUBLE,
    is_accepted BOOLEAN NOT NULL
);
COMMENT ON TABLE marts.release_drift IS 'Release drift. Mean of each muscle measure in a release against what the releases registered earlier lead one to expect at its BMI.';
COMMENT ON COLUMN marts.release_drift.release IS 'Release. Name of the delivery.';
COMMENT ON COLUMN marts.release_drift.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN marts.release_drift.source IS 'Source. measured (on masks) or imported (through measurements.csv).';
COMMENT ON COLUMN marts.release_drift.model_version IS 'Model. Version of the segmentation model; "imported" where imported.';
COMMENT ON COLUMN marts.release_drift.measure IS 'Measure. Name in ref.measure.';
COMMENT ON COLUMN marts.release_drift.sex IS 'Sex. F or M.';
COMMENT ON COLUMN marts.release_drift.n IS 'Persons. With the measure and BMI, in the release. [1]';
COMMENT ON COLUMN marts.release_drift.n_earlier IS 'Persons, earlier. In the releases registered before. [1]';
COMMENT ON COLUMN marts.release_drift.mean IS 'Mean. In the release, in the unit of the measure.';
COMMENT ON COLUMN marts.release_drift.expected_mean IS 'Expected mean. Earlier mean + slope on BMI (earlier) x difference of the mean BMI, in the unit of the measure.';
COMMENT ON COLUMN marts.release_drift.sd_earlier IS 'SD, earlier. Of the measure in the releases before, in the unit of the measure.';
COMMENT ON COLUMN marts.release_drift.shift_sd IS 'Shift. Mean - expected mean, in earlier SDs. [SD]';
COMMENT ON COLUMN marts.release_drift.is_accepted IS 'Is accepted. A steward accepted the release as it is (ref.acceptance).';

WITH origin AS (
    SELECT DISTINCT study, participant_id, visit, 'measured' AS source, model_version, release FROM imaging.muscle
    UNION
    SELECT DISTINCT study, participant_id, visit, 'imported', 'imported', release FROM raw.current_measurement
), value AS (
    SELECT
        study, source, model_version, release, registration, measure, sex, bmi_kg_m2,
        value.value AS value
    FROM marts.phenotype_value AS value
    JOIN marts.muscle_phenotype USING (study, participant_id, visit, source, model_version)
    JOIN origin USING (study, participant_id, visit, source, model_version)
    JOIN raw.release USING (study, release)
    JOIN ref.measure USING (measure)
    WHERE is_first_visit AND kind = 'muscle' AND sex IS NOT NULL AND bmi_kg_m2 IS NOT NULL AND value IS NOT NULL
), here AS (
    SELECT
        study, source, model_version, release, registration, measure, sex,
        count(*) AS n, avg(value) AS mean, avg(bmi_kg_m2) AS mean_bmi
    FROM value
    GROUP BY ALL
), earlier AS (
    SELECT
        here.study, here.source, here.model_version, here.release, here.measure, here.sex,
        count(*) AS n_earlier, avg(value) AS mean, stddev_samp(value) AS sd_earlier, avg(bmi_kg_m2) AS mean_bmi,
        regr_slope(value, bmi_kg_m2) AS slope
    FROM here
    JOIN value
        ON (value.study, value.source, value.model_version, value.measure, value.sex)
            = (here.study, here.source, here.model_version, here.measure, here.sex)
        AND value.registration < here.registration
    GROUP BY ALL
)
SELECT
    release, study, source, model_version, measure, sex, n, n_earlier, here.mean AS mean,
    earlier.mean + slope * (here.mean_bmi - earlier.mean_bmi) AS expected_mean,
    sd_earlier,
    (here.mean - expected_mean) / nullif(sd_earlier, 0) AS shift_sd,
    release IN (SELECT release FROM ref.acceptance) AS is_accepted
FROM here
JOIN earlier USING (study, source, model_version, release, measure, sex)
WHERE n_earlier > 1;
