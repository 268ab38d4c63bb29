-- How much the muscles of persons with several visits changed, within one study, source and model.
CREATE TABLE IF NOT EXISTS marts.muscle_change (
    study VARCHAR NOT NULL,
    participant_id VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    model_version VARCHAR NOT NULL,
    measure VARCHAR NOT NULL,
    first_visit VARCHAR NOT NULL,
    later_visit VARCHAR NOT NULL,
    sex VARCHAR,
    age_years DOUBLE,
    between_years DOUBLE NOT NULL,
    first_value DOUBLE NOT NULL,
    later_value DOUBLE NOT NULL,
    change_pct DOUBLE NOT NULL,
    change_per_year_pct DOUBLE NOT NULL,
    conditional_z DOUBLE,
    smallest_detectable_change_pct DOUBLE,
    is_detectable BOOLEAN
);
COMMENT ON TABLE marts.muscle_change IS 'Muscle change. First analysed visit against every later one, of muscle measures and declared ones, both values positive.';
COMMENT ON COLUMN marts.muscle_change.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN marts.muscle_change.participant_id IS 'Participant. Pseudonym as delivered.';
COMMENT ON COLUMN marts.muscle_change.source IS 'Source. measured (on masks) or imported (through measurements.csv).';
COMMENT ON COLUMN marts.muscle_change.model_version IS 'Model. Version of the segmentation model, the same at both visits; "imported" where imported.';
COMMENT ON COLUMN marts.muscle_change.measure IS 'Measure. Name in ref.measure.';
COMMENT ON COLUMN marts.muscle_change.first_visit IS 'First visit. Earliest analysed.';
COMMENT ON COLUMN marts.muscle_change.later_visit IS 'Later visit. Compared with the first.';
COMMENT ON COLUMN marts.muscle_change.sex IS 'Sex. F or M.';
COMMENT ON COLUMN marts.muscle_change.age_years IS 'Age. At the first visit. [years]';
COMMENT ON COLUMN marts.muscle_change.between_years IS 'Time between. By exam_years where both visits have it, else by age. [years]';
COMMENT ON COLUMN marts.muscle_change.first_value IS 'First value. In the unit of the measure.';
COMMENT ON COLUMN marts.muscle_change.later_value IS 'Later value. In the unit of the measure.';
COMMENT ON COLUMN marts.muscle_change.change_pct IS 'Change. 100 ln(later / first): symmetric, so that loss and regain cancel. [%]';
COMMENT ON COLUMN marts.muscle_change.change_per_year_pct IS 'Change per year. 100 ln(later / first) / years between. [%]';
COMMENT ON COLUMN marts.muscle_change.conditional_z IS 'Conditional z. Residual of the change per year, regressed on ln(first value) and age in the same sex, by its SD (n - 3); regression to the mean is taken out. NULL under 30 persons. [1]';
COMMENT ON COLUMN marts.muscle_change.smallest_detectable_change_pct IS 'Smallest detectable change. 100 * 1.96 * sqrt(2) * SD of ln(automatic / manual) in imaging.agreement_pair, of held-out cases where there are 10, else out of fold; NULL under 10 pairs. [%]';
COMMENT ON COLUMN marts.muscle_change.is_detectable IS 'Is detectable. The change is larger than the smallest detectable one.';

WITH visit AS (
    SELECT study, participant_id, visit, source, model_version, is_first_visit, phenotype.sex, phenotype.age_years, exam_years, measure, value
    FROM marts.muscle_phenotype AS phenotype
    JOIN marts.phenotype_value USING (study, participant_id, visit, source, model_version)
    JOIN ref.measure AS registry USING (measure)
    LEFT JOIN raw.current_participant AS covariates USING (study, participant_id, visit)
    WHERE registry.kind <> 'covariate' AND value > 0
), pair AS (
    SELECT
        study, participant_id, source, model_version, measure, first.visit AS first_visit, later.visit AS later_visit,
        coalesce(first.sex, later.sex) AS sex, first.age_years,
        coalesce(later.exam_years - first.exam_years, later.age_years - first.age_years) AS between_years,
        first.value AS first_value, later.value AS later_value,
        100 * ln(later.value / first.value) AS change_pct,
        100 * ln(later.value / first.value) / nullif(between_years, 0) AS change_per_year_pct,
        ln(first.value) AS x1, first.age_years AS x2
    FROM visit AS first
    JOIN visit AS later USING (study, participant_id, source, model_version, measure)
    WHERE first.is_first_visit AND NOT later.is_first_visit AND between_years > 0
), moment AS (
    -- Normal equations of y = change per year on x1 and x2, from centred moments.
    SELECT
        study, source, model_version, measure, sex, count(*) AS n,
        avg(change_per_year_pct) AS y, avg(x1) AS x1, avg(x2) AS x2,
        var_pop(change_per_year_pct) AS yy, var_pop(x1) AS x11, var_pop(x2) AS x22, covar_pop(x1, x2) AS x12,
        covar_pop(change_per_year_pct, x1) AS y1, covar_pop(change_per_year_pct, x2) AS y2,
        x11 * x22 - x12 ** 2 AS determinant
    FROM pair
    WHERE x2 IS NOT NULL AND sex IS NOT NULL
    GROUP BY ALL
    HAVING n >= 30 AND determinant > 1e-9 * x11 * x22
), line AS (
    SELECT
        *, (y1 * x22 - y2 * x12) / determinant AS b1, (y2 * x11 - y1 * x12) / determinant AS b2,
        sqrt((yy - b1 * y1 - b2 * y2) * n / (n - 3)) AS residual_sd
    FROM moment
), error AS (
    SELECT study, model_version, measure, 100 * 1.96 * sqrt(2) * stddev_samp(ln(automatic / manual)) AS detectable_pct
    FROM imaging.agreement_pair
    WHERE automatic > 0 AND manual > 0
    GROUP BY study, model_version, measure, validation
    HAVING count(*) >= 10
    QUALIFY row_number() OVER (PARTITION BY study, model_version, measure ORDER BY validation = 'test' DESC) = 1
)
SELECT
    pair.study, participant_id, pair.source, pair.model_version, pair.measure, first_visit, later_visit, pair.sex,
    age_years, between_years, first_value, later_value, change_pct, change_per_year_pct,
    (change_per_year_pct - y - b1 * (pair.x1 - line.x1) - b2 * (pair.x2 - line.x2)) / nullif(residual_sd, 0) AS conditional_z,
    detectable_pct AS smallest_detectable_change_pct,
    abs(change_pct) > detectable_pct AS is_detectable
FROM pair
LEFT JOIN line
    ON (line.study, line.source, line.model_version, line.measure, line.sex)
        = (pair.study, pair.source, pair.model_version, pair.measure, pair.sex)
LEFT JOIN error
    ON (error.study, error.model_version, error.measure) = (pair.study, pair.model_version, pair.measure);
