-- Q statistics of the norms.
CREATE TABLE IF NOT EXISTS norms.q_statistic (
    analysis_set VARCHAR NOT NULL,
    measure VARCHAR NOT NULL,
    sex VARCHAR NOT NULL,
    covariates VARCHAR NOT NULL,
    age_band VARCHAR NOT NULL,
    n INTEGER,
    z1 DOUBLE,
    z2 DOUBLE,
    z3 DOUBLE,
    z4 DOUBLE,
    code_version VARCHAR DEFAULT getvariable('code_version')
);
COMMENT ON TABLE norms.q_statistic IS 'Q statistics. Each standard normal where the model is right (Royston and Wright 2000); bands of at least 50 persons.';
COMMENT ON COLUMN norms.q_statistic.analysis_set IS 'Analysis set. In ref.analysis_set.';
COMMENT ON COLUMN norms.q_statistic.measure IS 'Measure. Name in ref.measure.';
COMMENT ON COLUMN norms.q_statistic.sex IS 'Sex. F or M.';
COMMENT ON COLUMN norms.q_statistic.covariates IS 'Covariates. "age", or "age,bmi".';
COMMENT ON COLUMN norms.q_statistic.age_band IS 'Age band. In ref.band.';
COMMENT ON COLUMN norms.q_statistic.n IS 'Persons. Of the band. [1]';
COMMENT ON COLUMN norms.q_statistic.z1 IS 'Z1. Mean. [1]';
COMMENT ON COLUMN norms.q_statistic.z2 IS 'Z2. Variance. [1]';
COMMENT ON COLUMN norms.q_statistic.z3 IS 'Z3. Skewness. [1]';
COMMENT ON COLUMN norms.q_statistic.z4 IS 'Z4. Kurtosis. [1]';
COMMENT ON COLUMN norms.q_statistic.code_version IS 'Code version. Hash of the code and SQL that computed the row.';
