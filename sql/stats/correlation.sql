-- Correlation of each measure with age, height, weight and BMI: the study's Table 4, Spearman's beside it.
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
    p_holm DOUBLE,
    strength VARCHAR,
    spearman DOUBLE,
    spearman_p DOUBLE,
    weighting VARCHAR DEFAULT 'unweighted',
    code_version VARCHAR DEFAULT getvariable('code_version'),
    suppression VARCHAR
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
COMMENT ON COLUMN stats.correlation.p_holm IS 'p, Holm. Adjusted over all rows of the table. [1]';
COMMENT ON COLUMN stats.correlation.strength IS 'Strength. |r| < 0.1 negligible, < 0.3 weak, < 0.5 moderate, else strong.';
COMMENT ON COLUMN stats.correlation.spearman IS 'Spearman correlation. Pearson correlation of mid-ranks. [1]';
COMMENT ON COLUMN stats.correlation.spearman_p IS 'p of Spearman. Two-sided, t approximation. [1]';
COMMENT ON COLUMN stats.correlation.weighting IS 'Weighting. unweighted: no survey weights are used.';
COMMENT ON COLUMN stats.correlation.code_version IS 'Code version. Hash of the code and SQL that computed the row.';
COMMENT ON COLUMN stats.correlation.suppression IS 'Suppression. Why the published row is empty or older; NULL where it is shown, and in the research file.';
