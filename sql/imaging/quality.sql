-- Verdicts of the automatic quality control, long form.
CREATE TABLE IF NOT EXISTS imaging.quality (
    study VARCHAR NOT NULL,
    participant_id VARCHAR NOT NULL,
    visit VARCHAR NOT NULL,
    model_version VARCHAR NOT NULL,
    check_name VARCHAR NOT NULL,
    value DOUBLE,
    warn_limit DOUBLE,
    fail_limit DOUBLE,
    verdict VARCHAR NOT NULL CHECK (verdict IN ('pass', 'warn', 'fail')),
    detail VARCHAR,
    mask_sha256 VARCHAR NOT NULL,
    release VARCHAR NOT NULL
);
COMMENT ON TABLE imaging.quality IS 'Quality. Verdict of each automatic check per case.';
COMMENT ON COLUMN imaging.quality.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN imaging.quality.participant_id IS 'Participant. Pseudonym as delivered.';
COMMENT ON COLUMN imaging.quality.visit IS 'Visit. Verbatim text; NAKO: 30 = baseline, 60 = follow-up.';
COMMENT ON COLUMN imaging.quality.model_version IS 'Model. Version of the segmentation model.';
COMMENT ON COLUMN imaging.quality.check_name IS 'Check. Name in ref.threshold.';
COMMENT ON COLUMN imaging.quality.value IS 'Value. In the unit of the check; NULL where it could not be measured.';
COMMENT ON COLUMN imaging.quality.warn_limit IS 'Warning limit. In force when the case was checked, in the unit of the check.';
COMMENT ON COLUMN imaging.quality.fail_limit IS 'Failure limit. In force when the case was checked, in the unit of the check.';
COMMENT ON COLUMN imaging.quality.verdict IS 'Verdict. pass, warn or fail.';
COMMENT ON COLUMN imaging.quality.detail IS 'Detail. Where or whose, or why the value is NULL.';
COMMENT ON COLUMN imaging.quality.mask_sha256 IS 'Mask hash. Of the mask that was checked.';
COMMENT ON COLUMN imaging.quality.release IS 'Release. Delivery the images came from.';
