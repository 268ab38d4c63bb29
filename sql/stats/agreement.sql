-- Bland-Altman summaries.
CREATE TABLE IF NOT EXISTS stats.agreement (
    study VARCHAR NOT NULL,
    model_version VARCHAR NOT NULL,
    validation VARCHAR NOT NULL,
    measure VARCHAR NOT NULL,
    unit VARCHAR NOT NULL,
    n INTEGER,
    bias DOUBLE,
    bias_low DOUBLE,
    bias_high DOUBLE,
    sd DOUBLE,
    limit_low DOUBLE,
    limit_low_low DOUBLE,
    limit_low_high DOUBLE,
    limit_high DOUBLE,
    limit_high_low DOUBLE,
    limit_high_high DOUBLE,
    slope DOUBLE,
    slope_low DOUBLE,
    slope_high DOUBLE,
    grows_with_size BOOLEAN,
    ratio_bias_pct DOUBLE,
    ratio_bias_low_pct DOUBLE,
    ratio_bias_high_pct DOUBLE,
    ratio_limit_low_pct DOUBLE,
    ratio_limit_low_low_pct DOUBLE,
    ratio_limit_low_high_pct DOUBLE,
    ratio_limit_high_pct DOUBLE,
    ratio_limit_high_low_pct DOUBLE,
    ratio_limit_high_high_pct DOUBLE,
    code_version VARCHAR DEFAULT getvariable('code_version'),
    suppression VARCHAR
);
COMMENT ON TABLE stats.agreement IS 'Agreement. Bland-Altman analysis of automatic minus manual, one pair per person (first annotated visit); intervals are 95 %.';
COMMENT ON COLUMN stats.agreement.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN stats.agreement.model_version IS 'Model. Version of the segmentation model.';
COMMENT ON COLUMN stats.agreement.validation IS 'Validation. out_of_fold (training cases) or test (held-out cases).';
COMMENT ON COLUMN stats.agreement.measure IS 'Measure. Name in ref.measure.';
COMMENT ON COLUMN stats.agreement.unit IS 'Unit. Of the measure.';
COMMENT ON COLUMN stats.agreement.n IS 'Persons. Number of pairs. [1]';
COMMENT ON COLUMN stats.agreement.bias IS 'Bias. Mean difference, in the unit of the measure.';
COMMENT ON COLUMN stats.agreement.bias_low IS 'Lower 95 % limit of the bias. t interval, in the unit of the measure.';
COMMENT ON COLUMN stats.agreement.bias_high IS 'Upper 95 % limit of the bias. t interval, in the unit of the measure.';
COMMENT ON COLUMN stats.agreement.sd IS 'Standard deviation. Of the differences, in the unit of the measure.';
COMMENT ON COLUMN stats.agreement.limit_low IS 'Lower limit of agreement. Bias - 1.96 SD, in the unit of the measure.';
COMMENT ON COLUMN stats.agreement.limit_low_low IS 'Lower limit, from. Exact interval (noncentral t, Carkeet 2015), in the unit of the measure.';
COMMENT ON COLUMN stats.agreement.limit_low_high IS 'Lower limit, to. Exact interval (noncentral t, Carkeet 2015), in the unit of the measure.';
COMMENT ON COLUMN stats.agreement.limit_high IS 'Upper limit of agreement. Bias + 1.96 SD, in the unit of the measure.';
COMMENT ON COLUMN stats.agreement.limit_high_low IS 'Upper limit, from. Exact interval (noncentral t, Carkeet 2015), in the unit of the measure.';
COMMENT ON COLUMN stats.agreement.limit_high_high IS 'Upper limit, to. Exact interval (noncentral t, Carkeet 2015), in the unit of the measure.';
COMMENT ON COLUMN stats.agreement.slope IS 'Proportional bias. Least-squares slope of the difference on the mean of both, NULL below 4 pairs. [1]';
COMMENT ON COLUMN stats.agreement.slope_low IS 'Lower 95 % limit of the slope. t interval. [1]';
COMMENT ON COLUMN stats.agreement.slope_high IS 'Upper 95 % limit of the slope. t interval. [1]';
COMMENT ON COLUMN stats.agreement.grows_with_size IS 'Grows with size. The difference or its spread moves with the mean (p < 0.05): then read the ratio limits.';
COMMENT ON COLUMN stats.agreement.ratio_bias_pct IS 'Ratio bias. Geometric mean of automatic / manual, less 1. [%]';
COMMENT ON COLUMN stats.agreement.ratio_bias_low_pct IS 'Lower 95 % limit of the ratio bias. t interval of the logarithms. [%]';
COMMENT ON COLUMN stats.agreement.ratio_bias_high_pct IS 'Upper 95 % limit of the ratio bias. t interval of the logarithms. [%]';
COMMENT ON COLUMN stats.agreement.ratio_limit_low_pct IS 'Lower ratio limit. Mean - 1.96 SD of the logarithms, back-transformed. [%]';
COMMENT ON COLUMN stats.agreement.ratio_limit_low_low_pct IS 'Lower ratio limit, from. Exact interval of the logarithms (noncentral t, Carkeet 2015), back-transformed. [%]';
COMMENT ON COLUMN stats.agreement.ratio_limit_low_high_pct IS 'Lower ratio limit, to. Exact interval of the logarithms (noncentral t, Carkeet 2015), back-transformed. [%]';
COMMENT ON COLUMN stats.agreement.ratio_limit_high_pct IS 'Upper ratio limit. Mean + 1.96 SD of the logarithms, back-transformed. [%]';
COMMENT ON COLUMN stats.agreement.ratio_limit_high_low_pct IS 'Upper ratio limit, from. Exact interval of the logarithms (noncentral t, Carkeet 2015), back-transformed. [%]';
COMMENT ON COLUMN stats.agreement.ratio_limit_high_high_pct IS 'Upper ratio limit, to. Exact interval of the logarithms (noncentral t, Carkeet 2015), back-transformed. [%]';
COMMENT ON COLUMN stats.agreement.code_version IS 'Code version. Hash of the code and SQL that computed the row.';
COMMENT ON COLUMN stats.agreement.suppression IS 'Suppression. Why the published row is empty; NULL where it is shown, and in the research file.';
