-- Pearson correlation of each measure with age, height, weight and BMI.
CREATE TABLE IF NOT EXISTS stats.correlation (
    analysis_set VARCHAR NOT NULL,
    measure VARCHAR NOT NULL,
    covariate VARCHAR NOT NULL,
    sex VARCHAR,
    n INTEGER,
    r DOUBLE,
    ci_low DOUBLE,
    ci_high DOUBLE,
    p DOUBLE,
    strength VARCHAR
);
COMMENT ON TABLE stats.correlation IS 'Correlation. With Fisher intervals; lead with r and its interval, at this size p says little.';
COMMENT ON COLUMN stats.correlation.analysis_set IS 'Analysis set. In ref.analysis_set.';
COMMENT ON COLUMN stats.correlation.measure IS 'Measure. Name in ref.measure.';
COMMENT ON COLUMN stats.correlation.covariate IS 'Covariate. Name in ref.measure.';
COMMENT ON COLUMN stats.correlation.sex IS 'Sex. F or M; NULL = pooled.';
COMMENT ON COLUMN stats.correlation.n IS 'Persons. Number behind the row. [1]';
COMMENT ON COLUMN stats.correlation.r IS 'Pearson correlation. [1]';
COMMENT ON COLUMN stats.correlation.ci_low IS 'Lower 95 % limit of r. Fisher transform. [1]';
COMMENT ON COLUMN stats.correlation.ci_high IS 'Upper 95 % limit of r. Fisher transform. [1]';
COMMENT ON COLUMN stats.correlation.p IS 'p. Two-sided, of r = 0. [1]';
COMMENT ON COLUMN stats.correlation.strength IS 'Strength. |r| < 0.1 negligible, < 0.3 weak, < 0.5 moderate, else strong.';
