-- The fitted models behind the centiles.
CREATE TABLE IF NOT EXISTS norms.centile_model (
    analysis_set VARCHAR NOT NULL,
    measure VARCHAR NOT NULL,
    sex VARCHAR NOT NULL,
    covariates VARCHAR NOT NULL,
    family VARCHAR NOT NULL,
    n INTEGER,
    effective_df DOUBLE,
    interaction_df DOUBLE,
    skewness_df DOUBLE,
    deviance DOUBLE,
    marginal_likelihood DOUBLE,
    gaic3 DOUBLE,
    z_mean DOUBLE,
    z_sd DOUBLE,
    z_skewness DOUBLE,
    z_kurtosis DOUBLE,
    coefficients VARCHAR,
    code_version VARCHAR,
    refusal VARCHAR
);
COMMENT ON TABLE norms.centile_model IS 'Centile model. One row per measure, sex and covariates: Box-Cox-Cole-Green by penalised likelihood (docs/methods.md).';
COMMENT ON COLUMN norms.centile_model.analysis_set IS 'Analysis set. In ref.analysis_set.';
COMMENT ON COLUMN norms.centile_model.measure IS 'Measure. Name in ref.measure.';
COMMENT ON COLUMN norms.centile_model.sex IS 'Sex. F or M.';
COMMENT ON COLUMN norms.centile_model.covariates IS 'Covariates. "age", or "age,bmi".';
COMMENT ON COLUMN norms.centile_model.family IS 'Family. Distribution of the measure at given covariates; BCCG = Box-Cox-Cole-Green, the LMS method.';
COMMENT ON COLUMN norms.centile_model.n IS 'Persons. Number behind the row. [1]';
COMMENT ON COLUMN norms.centile_model.effective_df IS 'Effective degrees of freedom. Of the whole model. [1]';
COMMENT ON COLUMN norms.centile_model.interaction_df IS 'Interaction. Effective degrees of freedom of the age x BMI interaction of M; near 0 = none asked for, NULL = none possible. [1]';
COMMENT ON COLUMN norms.centile_model.skewness_df IS 'Moving skewness. Effective degrees of freedom of L beyond a constant; near 0 = L is constant. [1]';
COMMENT ON COLUMN norms.centile_model.deviance IS 'Deviance. Minus twice the log-likelihood. [1]';
COMMENT ON COLUMN norms.centile_model.marginal_likelihood IS 'Criterion. Log marginal likelihood, which the penalties maximise. [1]';
COMMENT ON COLUMN norms.centile_model.gaic3 IS 'GAIC(3). Deviance + 3 effective degrees of freedom. [1]';
COMMENT ON COLUMN norms.centile_model.z_mean IS 'Mean z. Of the persons behind the model; 0 where it is right. [1]';
COMMENT ON COLUMN norms.centile_model.z_sd IS 'SD of z. 1 where the model is right. [1]';
COMMENT ON COLUMN norms.centile_model.z_skewness IS 'Skewness of z. 0 where the model is right. [1]';
COMMENT ON COLUMN norms.centile_model.z_kurtosis IS 'Excess kurtosis of z. 0 where the model is right. [1]';
COMMENT ON COLUMN norms.centile_model.coefficients IS 'Coefficients. Knots, penalties and B-spline coefficients as JSON: enough to compute L, M, S anywhere.';
COMMENT ON COLUMN norms.centile_model.code_version IS 'Code version. Hash of the code and SQL.';
COMMENT ON COLUMN norms.centile_model.refusal IS 'Refusal. Why there are no norms; NULL where there are.';
