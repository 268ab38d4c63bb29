-- The fitted models behind the centiles.
CREATE TABLE IF NOT EXISTS norms.centile_model (
    analysis_set VARCHAR NOT NULL,
    measure VARCHAR NOT NULL,
    sex VARCHAR NOT NULL,
    covariates VARCHAR NOT NULL,
    family VARCHAR NOT NULL,
    n INTEGER,
    effective_df DOUBLE,
    deviance DOUBLE,
    coefficients VARCHAR,
    refusal VARCHAR
);
COMMENT ON TABLE norms.centile_model IS 'Centile model. One row per measure, sex and covariates.';
COMMENT ON COLUMN norms.centile_model.analysis_set IS 'Analysis set. In ref.analysis_set.';
COMMENT ON COLUMN norms.centile_model.measure IS 'Measure. Name in ref.measure.';
COMMENT ON COLUMN norms.centile_model.sex IS 'Sex. F or M.';
COMMENT ON COLUMN norms.centile_model.covariates IS 'Covariates. age, or age and bmi.';
COMMENT ON COLUMN norms.centile_model.family IS 'Family. Distribution of the measure at given covariates.';
COMMENT ON COLUMN norms.centile_model.n IS 'Persons. Number behind the row. [1]';
COMMENT ON COLUMN norms.centile_model.effective_df IS 'Effective degrees of freedom. [1]';
COMMENT ON COLUMN norms.centile_model.deviance IS 'Deviance. Minus twice the log-likelihood. [1]';
COMMENT ON COLUMN norms.centile_model.coefficients IS 'Coefficients. Knots, penalties and coefficients as JSON.';
COMMENT ON COLUMN norms.centile_model.refusal IS 'Refusal. Why there are no norms; NULL where there are.';
