-- Thresholds of the automatic quality control, each with its source.
CREATE TABLE IF NOT EXISTS ref.threshold (
    check_name VARCHAR NOT NULL,
    label VARCHAR NOT NULL,
    unit VARCHAR NOT NULL,
    subject VARCHAR NOT NULL CHECK (subject IN ('image', 'mask', 'outcome')),
    direction VARCHAR NOT NULL CHECK (direction IN ('above', 'below')),
    warn_limit DOUBLE,
    fail_limit DOUBLE CHECK (fail_limit IS NULL OR subject <> 'outcome'),
    source VARCHAR NOT NULL
);
COMMENT ON TABLE ref.threshold IS 'Threshold. Limits of the automatic checks. Facts about image or mask can fail a case; what depends on the outcome can only warn.';
COMMENT ON COLUMN ref.threshold.check_name IS 'Check. Its name.';
COMMENT ON COLUMN ref.threshold.label IS 'Label. As shown to people.';
COMMENT ON COLUMN ref.threshold.unit IS 'Unit. Of the checked value.';
COMMENT ON COLUMN ref.threshold.subject IS 'Subject. image, mask or outcome.';
COMMENT ON COLUMN ref.threshold.direction IS 'Direction. Values above or below the limits warn or fail.';
COMMENT ON COLUMN ref.threshold.warn_limit IS 'Warning limit. In the unit of the check; NULL = never.';
COMMENT ON COLUMN ref.threshold.fail_limit IS 'Failure limit. In the unit of the check; NULL = never.';
COMMENT ON COLUMN ref.threshold.source IS 'Source. Publication or reasoning behind the limits.';
