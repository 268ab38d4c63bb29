-- Thresholds of the automatic quality control, each with its source.
CREATE TABLE IF NOT EXISTS ref.threshold (
    check_name VARCHAR NOT NULL,
    label VARCHAR NOT NULL,
    unit VARCHAR NOT NULL,
    warn_limit DOUBLE,
    fail_limit DOUBLE,
    source VARCHAR NOT NULL
);
COMMENT ON TABLE ref.threshold IS 'Threshold. Limits of the automatic checks; filled with quality control.';
COMMENT ON COLUMN ref.threshold.check_name IS 'Check. Its name.';
COMMENT ON COLUMN ref.threshold.label IS 'Label. As shown to people.';
COMMENT ON COLUMN ref.threshold.unit IS 'Unit. Of the checked value.';
COMMENT ON COLUMN ref.threshold.warn_limit IS 'Warning limit. In the unit of the check.';
COMMENT ON COLUMN ref.threshold.fail_limit IS 'Failure limit. In the unit of the check.';
COMMENT ON COLUMN ref.threshold.source IS 'Source. Publication or reasoning behind the limits.';
