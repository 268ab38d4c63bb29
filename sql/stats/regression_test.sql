-- Joint tests of the regressions: study centres, age as a curve, and the curve against a straight line.
CREATE TABLE IF NOT EXISTS stats.regression_test (
    analysis_set VARCHAR NOT NULL,
    model VARCHAR NOT NULL,
    measure VARCHAR NOT NULL,
    sex VARCHAR,
    test VARCHAR NOT NULL,
    n INTEGER,
    df INTEGER,
    f DOUBLE,
    p DOUBLE,
    p_holm DOUBLE,
    partial_r_squared DOUBLE,
    weighting VARCHAR DEFAULT 'unweighted',
    code_version VARCHAR DEFAULT getvariable('code_version'),
    suppression VARCHAR
);
COMMENT ON TABLE stats.regression_test IS 'Regression test. F tests with HC3 covariance. A measure that rises and falls with age has r near 0; the test of the curve sees it.';
COMMENT ON COLUMN stats.regression_test.analysis_set IS 'Analysis set. In ref.analysis_set.';
COMMENT ON COLUMN stats.regression_test.model IS 'Model. In ref.regression_model.';
COMMENT ON COLUMN stats.regression_test.measure IS 'Measure. Name in ref.measure.';
COMMENT ON COLUMN stats.regression_test.sex IS 'Sex. F or M; NULL = pooled.';
COMMENT ON COLUMN stats.regression_test.test IS 'Test. centre (all centres equal), age_years (no association), age_years: nonlinear (a straight line is enough).';
COMMENT ON COLUMN stats.regression_test.n IS 'Persons. Number behind the row. [1]';
COMMENT ON COLUMN stats.regression_test.df IS 'Degrees of freedom. Of the numerator. [1]';
COMMENT ON COLUMN stats.regression_test.f IS 'F. Wald statistic by its degrees of freedom. [1]';
COMMENT ON COLUMN stats.regression_test.p IS 'p. Of the null hypothesis. [1]';
COMMENT ON COLUMN stats.regression_test.p_holm IS 'p, Holm. Adjusted over all rows of the table. [1]';
COMMENT ON COLUMN stats.regression_test.partial_r_squared IS 'Partial R squared. Share of the variance left by the other terms. [1]';
COMMENT ON COLUMN stats.regression_test.weighting IS 'Weighting. unweighted: no survey weights are used.';
COMMENT ON COLUMN stats.regression_test.code_version IS 'Code version. Hash of the code and SQL that computed the row.';
COMMENT ON COLUMN stats.regression_test.suppression IS 'Suppression. Why the published row is empty or older; NULL where it is shown, and in the research file.';
