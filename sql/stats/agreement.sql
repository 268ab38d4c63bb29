-- Bland-Altman summaries.
CREATE TABLE IF NOT EXISTS stats.agreement (
    model_version VARCHAR NOT NULL,
    measure VARCHAR NOT NULL,
    n INTEGER,
    bias DOUBLE,
    bias_low DOUBLE,
    bias_high DOUBLE,
    limit_low DOUBLE,
    limit_high DOUBLE
);
COMMENT ON TABLE stats.agreement IS 'Agreement. Automatic minus manual; filled with the validation of models.';
COMMENT ON COLUMN stats.agreement.model_version IS 'Model. Version of the segmentation model.';
COMMENT ON COLUMN stats.agreement.measure IS 'Measure. Name in ref.measure.';
COMMENT ON COLUMN stats.agreement.n IS 'Cases. Number of pairs. [1]';
COMMENT ON COLUMN stats.agreement.bias IS 'Bias. Mean difference, in the unit of the measure.';
COMMENT ON COLUMN stats.agreement.bias_low IS 'Lower 95 % limit of the bias. In the unit of the measure.';
COMMENT ON COLUMN stats.agreement.bias_high IS 'Upper 95 % limit of the bias. In the unit of the measure.';
COMMENT ON COLUMN stats.agreement.limit_low IS 'Lower limit of agreement. In the unit of the measure.';
COMMENT ON COLUMN stats.agreement.limit_high IS 'Upper limit of agreement. In the unit of the measure.';
