-- Verdicts of human quality control, read from reviews/.
CREATE TABLE IF NOT EXISTS imaging.review (
    study VARCHAR NOT NULL,
    participant_id VARCHAR NOT NULL,
    visit VARCHAR NOT NULL,
    model_version VARCHAR NOT NULL,
    compartment VARCHAR,
    side VARCHAR,
    reader VARCHAR NOT NULL,
    verdict VARCHAR NOT NULL CHECK (verdict IN ('accept', 'reject', 'unsure')),
    reason VARCHAR,
    reviewed_at TIMESTAMP NOT NULL
);
COMMENT ON TABLE imaging.review IS 'Review. Verdicts of readers, append-only.';
COMMENT ON COLUMN imaging.review.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN imaging.review.participant_id IS 'Participant. Pseudonym as delivered.';
COMMENT ON COLUMN imaging.review.visit IS 'Visit. Verbatim text; NAKO: 30 = baseline, 60 = follow-up.';
COMMENT ON COLUMN imaging.review.model_version IS 'Model. Version of the segmentation model.';
COMMENT ON COLUMN imaging.review.compartment IS 'Compartment. psoas or gluteus; NULL = the whole case.';
COMMENT ON COLUMN imaging.review.side IS 'Side. left or right; NULL = the whole case.';
COMMENT ON COLUMN imaging.review.reader IS 'Reader. Code of the person who judged.';
COMMENT ON COLUMN imaging.review.verdict IS 'Verdict. accept, reject or unsure.';
COMMENT ON COLUMN imaging.review.reason IS 'Reason. Of a rejection.';
COMMENT ON COLUMN imaging.review.reviewed_at IS 'Reviewed at. UTC.';
