-- Verdicts of human quality control, read from reviews/: one row per reading and muscle, or one for the whole case.
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
    comment VARCHAR,
    reading_id VARCHAR,
    reading VARCHAR DEFAULT 'first' CHECK (reading IN ('first', 'second', 'consensus')),
    is_blinded BOOLEAN,
    is_undone BOOLEAN DEFAULT false,
    sampling_probability DOUBLE CHECK (sampling_probability > 0 AND sampling_probability <= 1),
    seconds DOUBLE,
    mask_sha256 VARCHAR,
    reviewed_at TIMESTAMP NOT NULL
);
COMMENT ON TABLE imaging.review IS 'Review. Every verdict that a reader ever gave, also undone ones and those on masks that are replaced by now; imaging.decisive_review picks those that count.';
COMMENT ON COLUMN imaging.review.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN imaging.review.participant_id IS 'Participant. Pseudonym as delivered.';
COMMENT ON COLUMN imaging.review.visit IS 'Visit. Verbatim text; NAKO: 30 = baseline, 60 = follow-up.';
COMMENT ON COLUMN imaging.review.model_version IS 'Model. Version of the segmentation model.';
COMMENT ON COLUMN imaging.review.compartment IS 'Compartment. psoas or gluteus; NULL = the whole case.';
COMMENT ON COLUMN imaging.review.side IS 'Side. left or right; NULL = the whole case.';
COMMENT ON COLUMN imaging.review.reader IS 'Reader. Code of the person who judged.';
COMMENT ON COLUMN imaging.review.verdict IS 'Verdict. accept, reject or unsure.';
COMMENT ON COLUMN imaging.review.reason IS 'Reason. Of a rejection, in ref.review_reason.';
COMMENT ON COLUMN imaging.review.comment IS 'Comment. As the reader typed it.';
COMMENT ON COLUMN imaging.review.reading_id IS 'Reading. Shared by the rows of one look at one case.';
COMMENT ON COLUMN imaging.review.reading IS 'Kind of reading. first; second (by another reader, for agreement alone); consensus (with all earlier verdicts in view, it decides).';
COMMENT ON COLUMN imaging.review.is_blinded IS 'Is blinded. Automatic checks and earlier verdicts were hidden.';
COMMENT ON COLUMN imaging.review.is_undone IS 'Is undone. The reader took the reading back.';
COMMENT ON COLUMN imaging.review.sampling_probability IS 'Sampling probability. Of the case to be read: 1 where a check warned or failed, the random share among the rest; NULL for a case outside that share, read by choice. [1]';
COMMENT ON COLUMN imaging.review.seconds IS 'Duration. From the picture on the screen to the verdict. [s]';
COMMENT ON COLUMN imaging.review.mask_sha256 IS 'Mask hash. Of the mask that was judged; NULL = whichever is current.';
COMMENT ON COLUMN imaging.review.reviewed_at IS 'Reviewed at. UTC.';
