-- Segmentation scores over cases.
CREATE TABLE IF NOT EXISTS stats.segmentation_score (
    model_version VARCHAR NOT NULL,
    validation VARCHAR NOT NULL,
    compartment VARCHAR NOT NULL,
    side VARCHAR NOT NULL,
    metric VARCHAR NOT NULL,
    n INTEGER,
    mean DOUBLE,
    sd DOUBLE
);
COMMENT ON TABLE stats.segmentation_score IS 'Segmentation score summary. Mean and spread per model and label; filled with the validation of models.';
COMMENT ON COLUMN stats.segmentation_score.model_version IS 'Model. Version of the segmentation model.';
COMMENT ON COLUMN stats.segmentation_score.validation IS 'Validation. out_of_fold or test.';
COMMENT ON COLUMN stats.segmentation_score.compartment IS 'Compartment. psoas or gluteus.';
COMMENT ON COLUMN stats.segmentation_score.side IS 'Side. left or right.';
COMMENT ON COLUMN stats.segmentation_score.metric IS 'Metric. Its name.';
COMMENT ON COLUMN stats.segmentation_score.n IS 'Cases. Number behind the row. [1]';
COMMENT ON COLUMN stats.segmentation_score.mean IS 'Mean. In the unit of the metric.';
COMMENT ON COLUMN stats.segmentation_score.sd IS 'Standard deviation. In the unit of the metric.';
