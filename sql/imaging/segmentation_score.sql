-- Agreement of predicted with annotated masks, per case and label.
CREATE TABLE IF NOT EXISTS imaging.segmentation_score (
    study VARCHAR NOT NULL,
    participant_id VARCHAR NOT NULL,
    visit VARCHAR NOT NULL,
    model_version VARCHAR NOT NULL,
    validation VARCHAR NOT NULL CHECK (validation IN ('out_of_fold', 'test')),
    compartment VARCHAR NOT NULL,
    side VARCHAR NOT NULL,
    dice DOUBLE
);
COMMENT ON TABLE imaging.segmentation_score IS 'Segmentation score. Per case and label.';
COMMENT ON COLUMN imaging.segmentation_score.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN imaging.segmentation_score.participant_id IS 'Participant. Pseudonym as delivered.';
COMMENT ON COLUMN imaging.segmentation_score.visit IS 'Visit. Verbatim text; NAKO: 30 = baseline, 60 = follow-up.';
COMMENT ON COLUMN imaging.segmentation_score.model_version IS 'Model. Version of the segmentation model.';
COMMENT ON COLUMN imaging.segmentation_score.validation IS 'Validation. out_of_fold (training cases) or test (held-out cases).';
COMMENT ON COLUMN imaging.segmentation_score.compartment IS 'Compartment. psoas or gluteus.';
COMMENT ON COLUMN imaging.segmentation_score.side IS 'Side. left or right of the participant, by world coordinates.';
COMMENT ON COLUMN imaging.segmentation_score.dice IS 'Dice. 2 |A and B| / (|A| + |B|); NULL where both are empty. [1]';
