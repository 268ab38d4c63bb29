-- Who was annotated: the study's Table 2, for training and held-out cases.
CREATE TABLE IF NOT EXISTS stats.training_set (
    study VARCHAR NOT NULL,
    role VARCHAR NOT NULL,
    measure VARCHAR NOT NULL,
    sex VARCHAR,
    n INTEGER,
    pct DOUBLE,
    mean DOUBLE,
    sd DOUBLE,
    code_version VARCHAR DEFAULT getvariable('code_version'),
    suppression VARCHAR
);
COMMENT ON TABLE stats.training_set IS 'Training set. Age, BMI and sex of the persons with annotated masks (first annotated visit).';
COMMENT ON COLUMN stats.training_set.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN stats.training_set.role IS 'Role. train or test; a person of both is of train.';
COMMENT ON COLUMN stats.training_set.measure IS 'Measure. Covariate in ref.measure; its name ends in the unit.';
COMMENT ON COLUMN stats.training_set.sex IS 'Sex. F or M; NULL = pooled.';
COMMENT ON COLUMN stats.training_set.n IS 'Persons. Number with a value. [1]';
COMMENT ON COLUMN stats.training_set.pct IS 'Share. Of the persons of the role with a value. [%]';
COMMENT ON COLUMN stats.training_set.mean IS 'Mean. In the unit of the measure.';
COMMENT ON COLUMN stats.training_set.sd IS 'Standard deviation. In the unit of the measure.';
COMMENT ON COLUMN stats.training_set.code_version IS 'Code version. Hash of the code and SQL that computed the row.';
COMMENT ON COLUMN stats.training_set.suppression IS 'Suppression. Why the published row is empty; NULL where it is shown, and in the research file.';

WITH person AS (
    SELECT study, role, sex, age_years, height_cm, weight_kg, bmi_kg_m2
    FROM raw.current_annotation
    JOIN raw.current_participant AS covariates USING (study, participant_id, visit)
    QUALIFY row_number() OVER (
        PARTITION BY study, participant_id ORDER BY role = 'train' DESC, try_cast(visit AS INTEGER) NULLS LAST, visit
    ) = 1
), value AS (
    UNPIVOT person ON age_years, height_cm, weight_kg, bmi_kg_m2 INTO NAME measure VALUE value
), cell AS (
    SELECT study, role, measure, sex, grouping(sex) = 1 AS is_pooled, count(*) AS n, avg(value) AS mean, stddev_samp(value) AS sd
    FROM value
    GROUP BY study, role, measure, ROLLUP (sex)
)
SELECT
    study, role, measure, sex, n, mean, sd,
    100 * n / max(n) FILTER (is_pooled) OVER (PARTITION BY study, role, measure) AS pct
FROM cell
WHERE is_pooled OR sex IS NOT NULL;
