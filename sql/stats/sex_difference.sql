-- By how much women's means lie below men's, in percent of men's: the study's 35.5 % (psoas) and 29.3 % (gluteus).
CREATE TABLE IF NOT EXISTS stats.sex_difference (
    analysis_set VARCHAR NOT NULL,
    measure VARCHAR NOT NULL,
    age_band VARCHAR,
    bmi_band VARCHAR,
    n INTEGER,
    lower_in_women_pct DOUBLE,
    ci_low_pct DOUBLE,
    ci_high_pct DOUBLE,
    weighting VARCHAR DEFAULT 'unweighted',
    code_version VARCHAR DEFAULT getvariable('code_version')
);
COMMENT ON TABLE stats.sex_difference IS 'Sex difference. 100 (1 - mean of women / mean of men), not adjusted for anything but the band.';
COMMENT ON COLUMN stats.sex_difference.analysis_set IS 'Analysis set. In ref.analysis_set.';
COMMENT ON COLUMN stats.sex_difference.measure IS 'Measure. Name in ref.measure.';
COMMENT ON COLUMN stats.sex_difference.age_band IS 'Age band. In ref.band; NULL = all ages.';
COMMENT ON COLUMN stats.sex_difference.bmi_band IS 'BMI class. In ref.band; NULL = all BMI, persons without BMI included.';
COMMENT ON COLUMN stats.sex_difference.n IS 'Persons. Women and men behind the row. [1]';
COMMENT ON COLUMN stats.sex_difference.lower_in_women_pct IS 'Lower in women. Of the mean of men. [%]';
COMMENT ON COLUMN stats.sex_difference.ci_low_pct IS 'Lower 95 % limit. Of a ratio of two independent means from the limits of each (Donner and Zou 2012). [%]';
COMMENT ON COLUMN stats.sex_difference.ci_high_pct IS 'Upper 95 % limit. Of a ratio of two independent means from the limits of each (Donner and Zou 2012). [%]';
COMMENT ON COLUMN stats.sex_difference.weighting IS 'Weighting. unweighted: no survey weights are used.';
COMMENT ON COLUMN stats.sex_difference.code_version IS 'Code version. Hash of the code and SQL that computed the row.';

-- With f and m the means, (fl, fh) and (ml, mh) their limits; the ratio's limits are defined where men's mean is surely not 0.
WITH pair AS (
    SELECT
        analysis_set, measure, women.age_band, women.bmi_band, women.n + men.n AS n,
        women.mean AS f, women.ci_low AS fl, women.ci_high AS fh, men.mean AS m, men.ci_low AS ml, men.ci_high AS mh
    FROM stats.descriptive AS women
    JOIN stats.descriptive AS men USING (analysis_set, measure)
    JOIN ref.measure USING (measure)
    WHERE women.sex = 'F' AND men.sex = 'M' AND kind <> 'covariate' AND ml > 0 AND fl > 0
        AND women.age_band IS NOT DISTINCT FROM men.age_band AND women.bmi_band IS NOT DISTINCT FROM men.bmi_band
)
SELECT
    analysis_set, measure, age_band, bmi_band, n,
    100 * (1 - f / m) AS lower_in_women_pct,
    100 * (1 - (f * m + sqrt((f * m) ** 2 - fh * ml * (2 * f - fh) * (2 * m - ml))) / (ml * (2 * m - ml))) AS ci_low_pct,
    100 * (1 - (f * m - sqrt((f * m) ** 2 - fl * mh * (2 * f - fl) * (2 * m - mh))) / (mh * (2 * m - mh))) AS ci_high_pct
FROM pair;
