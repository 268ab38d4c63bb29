-- Comparison of the families of distributions.
CREATE TABLE IF NOT EXISTS norms.family (
    analysis_set VARCHAR NOT NULL,
    measure VARCHAR NOT NULL,
    sex VARCHAR NOT NULL,
    covariates VARCHAR NOT NULL,
    family VARCHAR NOT NULL,
    is_served BOOLEAN NOT NULL,
    deviance DOUBLE,
    effective_df DOUBLE,
    gaic3 DOUBLE,
    tail_df DOUBLE,
    code_version VARCHAR DEFAULT getvariable('code_version')
);
COMMENT ON TABLE norms.family IS 'Family. Distributions side by side on the same persons; lower GAIC(3) is better. Box-Cox t is a diagnostic: the served family is BCCG.';
COMMENT ON COLUMN norms.family.analysis_set IS 'Analysis set. In ref.analysis_set.';
COMMENT ON COLUMN norms.family.measure IS 'Measure. Name in ref.measure.';
COMMENT ON COLUMN norms.family.sex IS 'Sex. F or M.';
COMMENT ON COLUMN norms.family.covariates IS 'Covariates. "age", or "age,bmi".';
COMMENT ON COLUMN norms.family.family IS 'Family. NO (normal), LNO (log-normal), BCCG (Box-Cox-Cole-Green), BCT (Box-Cox t).';
COMMENT ON COLUMN norms.family.is_served IS 'Is served. The family of the published norms.';
COMMENT ON COLUMN norms.family.deviance IS 'Deviance. Minus twice the log-likelihood. [1]';
COMMENT ON COLUMN norms.family.effective_df IS 'Effective degrees of freedom. [1]';
COMMENT ON COLUMN norms.family.gaic3 IS 'GAIC(3). Deviance + 3 effective degrees of freedom. [1]';
COMMENT ON COLUMN norms.family.tail_df IS 'Tail. Degrees of freedom of Box-Cox t; above about 30 as good as normal. [1]';
COMMENT ON COLUMN norms.family.code_version IS 'Code version. Hash of the code and SQL that computed the row.';
