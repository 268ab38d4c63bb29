-- Linear regressions of each measure on the terms of ref.regression_model.
CREATE TABLE IF NOT EXISTS stats.regression (
    analysis_set VARCHAR NOT NULL,
    model VARCHAR NOT NULL,
    measure VARCHAR NOT NULL,
    sex VARCHAR,
    term VARCHAR NOT NULL,
    n INTEGER,
    estimate DOUBLE,
    se DOUBLE,
    ci_low DOUBLE,
    ci_high DOUBLE,
    p DOUBLE,
    p_holm DOUBLE,
    unit VARCHAR,
    standardised DOUBLE,
    partial_r_squared DOUBLE,
    r_squared DOUBLE,
    weighting VARCHAR DEFAULT 'unweighted',
    code_version VARCHAR DEFAULT getvariable('code_version'),
    suppression VARCHAR
);
COMMENT ON TABLE stats.regression IS 'Regression. Coefficients of ordinary least squares with HC3 standard errors; joint tests are in stats.regression_test, residuals in stats.regression_fit.';
COMMENT ON COLUMN stats.regression.analysis_set IS 'Analysis set. In ref.analysis_set.';
COMMENT ON COLUMN stats.regression.model IS 'Model. In ref.regression_model.';
COMMENT ON COLUMN stats.regression.measure IS 'Measure. Name in ref.measure.';
COMMENT ON COLUMN stats.regression.sex IS 'Sex. F or M; NULL = pooled.';
COMMENT ON COLUMN stats.regression.term IS 'Term. Intercept (at age 50, BMI 25, height 170 cm, weight 75 kg where in the model), covariate, a product a:b, or on a curve two ages compared.';
COMMENT ON COLUMN stats.regression.n IS 'Persons. Number behind the row. [1]';
COMMENT ON COLUMN stats.regression.estimate IS 'Estimate. In the unit of the measure per unit of the covariate.';
COMMENT ON COLUMN stats.regression.se IS 'Standard error. HC3, in the unit of the estimate.';
COMMENT ON COLUMN stats.regression.ci_low IS 'Lower 95 % limit. t interval, in the unit of the estimate.';
COMMENT ON COLUMN stats.regression.ci_high IS 'Upper 95 % limit. t interval, in the unit of the estimate.';
COMMENT ON COLUMN stats.regression.p IS 'p. Two-sided. [1]';
COMMENT ON COLUMN stats.regression.p_holm IS 'p, Holm. Adjusted over all rows of the table except intercepts. [1]';
COMMENT ON COLUMN stats.regression.unit IS 'Unit. Of estimate, standard error and limits.';
COMMENT ON COLUMN stats.regression.standardised IS 'Standardised estimate. Estimate times SD of the term by SD of the measure. [1]';
COMMENT ON COLUMN stats.regression.partial_r_squared IS 'Partial R squared. Share of the variance left by the other terms. [1]';
COMMENT ON COLUMN stats.regression.r_squared IS 'R squared. Of the whole model. [1]';
COMMENT ON COLUMN stats.regression.weighting IS 'Weighting. unweighted: no survey weights are used.';
COMMENT ON COLUMN stats.regression.code_version IS 'Code version. Hash of the code and SQL that computed the row.';
COMMENT ON COLUMN stats.regression.suppression IS 'Suppression. Why the published row is empty or older; NULL where it is shown, and in the research file.';
