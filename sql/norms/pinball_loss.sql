-- Cross-validated pinball loss of the norms.
CREATE TABLE IF NOT EXISTS norms.pinball_loss (
    analysis_set VARCHAR NOT NULL,
    measure VARCHAR NOT NULL,
    sex VARCHAR NOT NULL,
    covariates VARCHAR NOT NULL,
    centile INTEGER NOT NULL,
    n INTEGER,
    model_loss DOUBLE,
    banded_loss DOUBLE,
    gain_pct DOUBLE,
    z DOUBLE,
    code_version VARCHAR DEFAULT getvariable('code_version')
);
COMMENT ON TABLE norms.pinball_loss IS 'Pinball loss. Cross-validated loss of the models beside that of the banded percentiles of stats.band_percentile; lower is better.';
COMMENT ON COLUMN norms.pinball_loss.analysis_set IS 'Analysis set. In ref.analysis_set.';
COMMENT ON COLUMN norms.pinball_loss.measure IS 'Measure. Name in ref.measure.';
COMMENT ON COLUMN norms.pinball_loss.sex IS 'Sex. F or M.';
COMMENT ON COLUMN norms.pinball_loss.covariates IS 'Covariates. "age", or "age,bmi".';
COMMENT ON COLUMN norms.pinball_loss.centile IS 'Centile. 10, 25, 50, 75 or 90. [%]';
COMMENT ON COLUMN norms.pinball_loss.n IS 'Persons. With at least 20 others of their cell in the other folds. [1]';
COMMENT ON COLUMN norms.pinball_loss.model_loss IS 'Loss of the model. Mean, in the unit of the measure.';
COMMENT ON COLUMN norms.pinball_loss.banded_loss IS 'Loss of the banded percentile. Mean, in the unit of the measure.';
COMMENT ON COLUMN norms.pinball_loss.gain_pct IS 'Gain. 100 (1 - model / banded); positive where the model wins. [%]';
COMMENT ON COLUMN norms.pinball_loss.z IS 'z. Mean difference over its standard error. [1]';
COMMENT ON COLUMN norms.pinball_loss.code_version IS 'Code version. Hash of the code and SQL that computed the row.';
