-- How well each regression fits, and what its residuals look like.
CREATE TABLE IF NOT EXISTS stats.regression_fit (
    analysis_set VARCHAR NOT NULL,
    model VARCHAR NOT NULL,
    measure VARCHAR NOT NULL,
    sex VARCHAR,
    n INTEGER,
    r_squared DOUBLE,
    adjusted_r_squared DOUBLE,
    residual_sd DOUBLE,
    residual_skewness DOUBLE,
    residual_excess_kurtosis DOUBLE,
    breusch_pagan_p DOUBLE,
    weighting VARCHAR DEFAULT 'unweighted',
    code_version VARCHAR DEFAULT getvariable('code_version'),
    suppression VARCHAR
);
COMMENT ON TABLE stats.regression_fit IS 'Regression fit. One row per model, measure and sex.';
COMMENT ON COLUMN stats.regression_fit.analysis_set IS 'Analysis set. In ref.analysis_set.';
COMMENT ON COLUMN stats.regression_fit.model IS 'Model. In ref.regression_model.';
COMMENT ON COLUMN stats.regression_fit.measure IS 'Measure. Name in ref.measure.';
COMMENT ON COLUMN stats.regression_fit.sex IS 'Sex. F or M; NULL = pooled.';
COMMENT ON COLUMN stats.regression_fit.n IS 'Persons. Number behind the row. [1]';
COMMENT ON COLUMN stats.regression_fit.r_squared IS 'R squared. Of the whole model. [1]';
COMMENT ON COLUMN stats.regression_fit.adjusted_r_squared IS 'Adjusted R squared. 1 - (1 - R2) (n - 1) / (n - p). [1]';
COMMENT ON COLUMN stats.regression_fit.residual_sd IS 'Residual SD. n - p in the denominator, in the unit of the measure.';
COMMENT ON COLUMN stats.regression_fit.residual_skewness IS 'Skewness of the residuals. 0 where symmetric. [1]';
COMMENT ON COLUMN stats.regression_fit.residual_excess_kurtosis IS 'Excess kurtosis of the residuals. 0 where normal. [1]';
COMMENT ON COLUMN stats.regression_fit.breusch_pagan_p IS 'p of Breusch and Pagan. Of equal variance, in Koenker''s form; HC3 errors allow for unequal variance. [1]';
COMMENT ON COLUMN stats.regression_fit.weighting IS 'Weighting. unweighted: no survey weights are used.';
COMMENT ON COLUMN stats.regression_fit.code_version IS 'Code version. Hash of the code and SQL that computed the row.';
COMMENT ON COLUMN stats.regression_fit.suppression IS 'Suppression. Why the published row is empty or older; NULL where it is shown, and in the research file.';
