-- The one set of people and measurements that statistics and norms describe; changes only by promotion.
CREATE TABLE IF NOT EXISTS ref.analysis_set (
    analysis_set VARCHAR NOT NULL,
    study VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    model_version VARCHAR NOT NULL,
    is_synthetic BOOLEAN NOT NULL
);
COMMENT ON TABLE ref.analysis_set IS 'Analysis set. Study, source and segmentation model behind every published statistic; one row.';
COMMENT ON COLUMN ref.analysis_set.analysis_set IS 'Analysis set. study / source / model in one text.';
COMMENT ON COLUMN ref.analysis_set.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN ref.analysis_set.source IS 'Source. measured (on masks) or imported (through measurements.csv).';
COMMENT ON COLUMN ref.analysis_set.model_version IS 'Model. Version of the segmentation model; "imported" where imported.';
COMMENT ON COLUMN ref.analysis_set.is_synthetic IS 'Is synthetic. The data are invented.';
