-- How many cases readers would reject if they read all of them: rates weighted by the probability of being read.
CREATE TABLE IF NOT EXISTS marts.review_rate (
    study VARCHAR NOT NULL,
    model_version VARCHAR NOT NULL,
    grouping VARCHAR NOT NULL,
    category VARCHAR,
    n_cases INTEGER NOT NULL,
    n INTEGER,
    n_rejected INTEGER,
    rejected_pct DOUBLE,
    ci_low DOUBLE,
    ci_high DOUBLE
);
COMMENT ON TABLE marts.review_rate IS 'Review rate. Share of cases of which a reader rejects at least one muscle, estimated for all cases from those drawn for reading. Cases read by choice are left out.';
COMMENT ON COLUMN marts.review_rate.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN marts.review_rate.model_version IS 'Model. Version of the segmentation model.';
COMMENT ON COLUMN marts.review_rate.grouping IS 'Grouping. all, sex, age_band, bmi_band, centre or release.';
COMMENT ON COLUMN marts.review_rate.category IS 'Category. Of the grouping; NULL = not known, or all.';
COMMENT ON COLUMN marts.review_rate.n_cases IS 'Cases. Judged automatically. [1]';
COMMENT ON COLUMN marts.review_rate.n IS 'Cases read. Of those drawn for reading. [1]';
COMMENT ON COLUMN marts.review_rate.n_rejected IS 'Cases rejected. Of those read. [1]';
COMMENT ON COLUMN marts.review_rate.rejected_pct IS 'Rejected. Hajek estimate: sum of y / p over sum of 1 / p, y = 1 where rejected, p the probability of being drawn. [%]';
COMMENT ON COLUMN marts.review_rate.ci_low IS 'Lower limit. Wilson 95 % interval with Kish''s effective number of cases, (sum of 1 / p)^2 / sum of 1 / p^2. [%]';
COMMENT ON COLUMN marts.review_rate.ci_high IS 'Upper limit. As the lower limit. [%]';

WITH reading AS (
    SELECT study, participant_id, visit, model_version, bool_or(verdict = 'reject') AS is_rejected
    FROM imaging.decisive_review
    GROUP BY ALL
), drawn AS (
    SELECT study, participant_id, visit, model_version, max(sampling_probability) AS probability
    FROM imaging.review
    WHERE NOT is_undone
    GROUP BY ALL
), judged AS (
    SELECT DISTINCT study, participant_id, visit, model_version, quality.release
    FROM imaging.quality AS quality
    WHERE NOT suffix(model_version, '+corrected')
), person AS (
    SELECT
        judged.*, is_rejected, if(is_rejected IS NULL, NULL, 1 / probability) AS weight, sex, centre,
        (SELECT band FROM ref.band WHERE kind = 'age' AND age_years >= lower AND age_years < upper) AS age_band,
        (SELECT band FROM ref.band WHERE kind = 'bmi' AND bmi_kg_m2 >= lower AND bmi_kg_m2 < upper) AS bmi_band
    FROM judged
    LEFT JOIN reading USING (study, participant_id, visit, model_version)
    LEFT JOIN drawn USING (study, participant_id, visit, model_version)
    LEFT JOIN raw.current_participant USING (study, participant_id, visit)
), long AS (
    SELECT
        study, model_version, is_rejected, weight,
        unnest(['all', 'sex', 'age_band', 'bmi_band', 'centre', 'release']) AS grouping,
        unnest([NULL, sex, age_band, bmi_band, centre, release]) AS category
    FROM person
), rate AS (
    SELECT
        study, model_version, grouping, category, count(*) AS n_cases,
        count(weight) AS n, count(*) FILTER (is_rejected AND weight IS NOT NULL) AS n_rejected,
        sum(weight) FILTER (is_rejected) AS rejected, sum(weight) AS total, sum(weight) ** 2 / sum(weight ** 2) AS n_effective
    FROM long
    GROUP BY ALL
), wilson AS (
    SELECT *, coalesce(rejected, 0) / total AS p, 1.959964 ** 2 / n_effective AS k FROM rate
)
SELECT
    study, model_version, grouping, category, n_cases, n, n_rejected,
    100 * p AS rejected_pct,
    100 * greatest(0, (p + k / 2 - sqrt(k * (p * (1 - p) + k / 4))) / (1 + k)) AS ci_low,
    100 * least(1, (p + k / 2 + sqrt(k * (p * (1 - p) + k / 4))) / (1 + k)) AS ci_high
FROM wilson
ORDER BY ALL;
