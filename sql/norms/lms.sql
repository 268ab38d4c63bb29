-- L, M, S on the grid of the centiles, with what the limits of a percentile need.
CREATE TABLE IF NOT EXISTS norms.lms (
    analysis_set VARCHAR NOT NULL,
    measure VARCHAR NOT NULL,
    sex VARCHAR NOT NULL,
    age_years INTEGER NOT NULL,
    bmi_kg_m2 INTEGER,
    l DOUBLE,
    m DOUBLE,
    s DOUBLE,
    n_near INTEGER,
    var_log_m DOUBLE,
    cov_log_m_log_s DOUBLE,
    cov_log_m_l DOUBLE,
    var_log_s DOUBLE,
    cov_log_s_l DOUBLE,
    var_l DOUBLE,
    code_version VARCHAR DEFAULT getvariable('code_version')
);
COMMENT ON TABLE norms.lms IS 'LMS. z = ((y / m)^l - 1) / (l s), with l = 0: ln(y / m) / s (Cole and Green 1992).';
COMMENT ON COLUMN norms.lms.analysis_set IS 'Analysis set. In ref.analysis_set.';
COMMENT ON COLUMN norms.lms.measure IS 'Measure. Name in ref.measure.';
COMMENT ON COLUMN norms.lms.sex IS 'Sex. F or M.';
COMMENT ON COLUMN norms.lms.age_years IS 'Age. [years]';
COMMENT ON COLUMN norms.lms.bmi_kg_m2 IS 'Body mass index. NULL = all BMI. [kg/m2]';
COMMENT ON COLUMN norms.lms.l IS 'L. Box-Cox power. [1]';
COMMENT ON COLUMN norms.lms.m IS 'M. Median, in the unit of the measure.';
COMMENT ON COLUMN norms.lms.s IS 'S. Generalised coefficient of variation. [1]';
COMMENT ON COLUMN norms.lms.n_near IS 'Persons near. Of that sex within 2.5 years and 2.5 kg/m2. [1]';
COMMENT ON COLUMN norms.lms.var_log_m IS 'Variance of log m. Of the estimate, as the following. [1]';
COMMENT ON COLUMN norms.lms.cov_log_m_log_s IS 'Covariance of log m and log s. [1]';
COMMENT ON COLUMN norms.lms.cov_log_m_l IS 'Covariance of log m and l. [1]';
COMMENT ON COLUMN norms.lms.var_log_s IS 'Variance of log s. [1]';
COMMENT ON COLUMN norms.lms.cov_log_s_l IS 'Covariance of log s and l. [1]';
COMMENT ON COLUMN norms.lms.var_l IS 'Variance of l. [1]';
COMMENT ON COLUMN norms.lms.code_version IS 'Code version. Hash of the code and SQL that computed the row.';
