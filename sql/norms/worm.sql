-- Worm plots of the norms.
CREATE TABLE IF NOT EXISTS norms.worm (
    analysis_set VARCHAR NOT NULL,
    measure VARCHAR NOT NULL,
    sex VARCHAR NOT NULL,
    covariates VARCHAR NOT NULL,
    age_band VARCHAR NOT NULL,
    z DOUBLE NOT NULL,
    n INTEGER,
    n_beyond INTEGER,
    deviation DOUBLE,
    ci_low DOUBLE,
    ci_high DOUBLE,
    code_version VARCHAR DEFAULT getvariable('code_version')
);
COMMENT ON TABLE norms.worm IS 'Worm plot. Detrended Q-Q plot of z-scores by age band at fixed points (van Buuren and Fredriks 2001).';
COMMENT ON COLUMN norms.worm.analysis_set IS 'Analysis set. In ref.analysis_set.';
COMMENT ON COLUMN norms.worm.measure IS 'Measure. Name in ref.measure.';
COMMENT ON COLUMN norms.worm.sex IS 'Sex. F or M.';
COMMENT ON COLUMN norms.worm.covariates IS 'Covariates. "age", or "age,bmi".';
COMMENT ON COLUMN norms.worm.age_band IS 'Age band. In ref.band.';
COMMENT ON COLUMN norms.worm.z IS 'z. Point of the standard normal distribution. [1]';
COMMENT ON COLUMN norms.worm.n IS 'Persons. Of the band. [1]';
COMMENT ON COLUMN norms.worm.n_beyond IS 'Persons beyond. Expected beyond the point. [1]';
COMMENT ON COLUMN norms.worm.deviation IS 'Deviation. Empirical quantile of the z-scores minus z. [1]';
COMMENT ON COLUMN norms.worm.ci_low IS 'Lower 95 % limit. Of the deviation of a right model. [1]';
COMMENT ON COLUMN norms.worm.ci_high IS 'Upper 95 % limit. Of the deviation of a right model. [1]';
COMMENT ON COLUMN norms.worm.code_version IS 'Code version. Hash of the code and SQL that computed the row.';
