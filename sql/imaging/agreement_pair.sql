-- Pairs of automatic and manual measurements behind the Bland-Altman analysis.
CREATE TABLE IF NOT EXISTS imaging.agreement_pair (
    study VARCHAR NOT NULL,
    participant_id VARCHAR NOT NULL,
    visit VARCHAR NOT NULL,
    model_version VARCHAR NOT NULL,
    validation VARCHAR NOT NULL CHECK (validation IN ('out_of_fold', 'test')),
    reader VARCHAR NOT NULL,
    reading INTEGER NOT NULL,
    measure VARCHAR NOT NULL,
    automatic DOUBLE,
    manual DOUBLE,
    reason VARCHAR
);
COMMENT ON TABLE imaging.agreement_pair IS 'Agreement pair. The same measure from the automatic and from the reference mask, each at its own maximum.';
COMMENT ON COLUMN imaging.agreement_pair.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN imaging.agreement_pair.participant_id IS 'Participant. Pseudonym as delivered.';
COMMENT ON COLUMN imaging.agreement_pair.visit IS 'Visit. Verbatim text; NAKO: 30 = baseline, 60 = follow-up.';
COMMENT ON COLUMN imaging.agreement_pair.model_version IS 'Model. Version of the segmentation model.';
COMMENT ON COLUMN imaging.agreement_pair.validation IS 'Validation. out_of_fold (training cases, by the one fold that did not see the case) or test (held-out cases, by the model as deployed).';
COMMENT ON COLUMN imaging.agreement_pair.reader IS 'Reader. Who drew the reference mask.';
COMMENT ON COLUMN imaging.agreement_pair.reading IS 'Reading. Of the reference mask. [1]';
COMMENT ON COLUMN imaging.agreement_pair.measure IS 'Measure. Name in ref.measure.';
COMMENT ON COLUMN imaging.agreement_pair.automatic IS 'Automatic. In the unit of the measure.';
COMMENT ON COLUMN imaging.agreement_pair.manual IS 'Manual. In the unit of the measure.';
COMMENT ON COLUMN imaging.agreement_pair.reason IS 'Reason. Why a value is NULL.';
