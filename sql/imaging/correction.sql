-- Masks that a reader corrected by hand: each is a version of its own in every table, never mixed with the network's.
CREATE TABLE IF NOT EXISTS imaging.correction (
    study VARCHAR NOT NULL,
    participant_id VARCHAR NOT NULL,
    visit VARCHAR NOT NULL,
    model_version VARCHAR NOT NULL,
    corrected_version VARCHAR NOT NULL,
    image_sha256 VARCHAR NOT NULL,
    original_mask_sha256 VARCHAR NOT NULL,
    mask_sha256 VARCHAR,
    file_sha256 VARCHAR NOT NULL,
    dice_to_original DOUBLE,
    code VARCHAR,
    message VARCHAR
);
COMMENT ON TABLE imaging.correction IS 'Correction. Cases exported for manual correction (make correct) whose corrected mask was looked at.';
COMMENT ON COLUMN imaging.correction.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN imaging.correction.participant_id IS 'Participant. Pseudonym as delivered.';
COMMENT ON COLUMN imaging.correction.visit IS 'Visit. Verbatim text; NAKO: 30 = baseline, 60 = follow-up.';
COMMENT ON COLUMN imaging.correction.model_version IS 'Model. Whose mask was corrected.';
COMMENT ON COLUMN imaging.correction.corrected_version IS 'Corrected version. What stands as model in every other table: <model>+corrected.';
COMMENT ON COLUMN imaging.correction.image_sha256 IS 'Image hash. sha256 over the hashes of in, opp, fat, water: what was corrected on.';
COMMENT ON COLUMN imaging.correction.original_mask_sha256 IS 'Original mask hash. Of the mask that was handed out.';
COMMENT ON COLUMN imaging.correction.mask_sha256 IS 'Mask hash. Of the corrected mask; NULL where it was refused.';
COMMENT ON COLUMN imaging.correction.file_sha256 IS 'File hash. Of the bytes of corrected.nii.gz as the reader saved it.';
COMMENT ON COLUMN imaging.correction.dice_to_original IS 'Dice to the original. Over all four labels together, 2 |same label in both| / (|original| + |corrected|). [1]';
COMMENT ON COLUMN imaging.correction.code IS 'Code. Why the corrected mask was refused; NULL where it was taken in.';
COMMENT ON COLUMN imaging.correction.message IS 'Message. What is wrong, and what to do; NULL where it was taken in.';
