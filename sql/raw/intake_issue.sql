-- Everything intake refused, or took in with a remark: one row each, nothing is lost silently.
CREATE TABLE IF NOT EXISTS raw.intake_issue (
    release VARCHAR NOT NULL,
    path VARCHAR NOT NULL,
    item VARCHAR,
    code VARCHAR NOT NULL,
    message VARCHAR NOT NULL,
    participant_id VARCHAR,
    visit VARCHAR,
    is_refusal BOOLEAN NOT NULL
);
COMMENT ON TABLE raw.intake_issue IS 'Intake issue. Refused deliveries and rows, and remarks on what was taken in.';
COMMENT ON COLUMN raw.intake_issue.release IS 'Release. Delivery it occurred in.';
COMMENT ON COLUMN raw.intake_issue.path IS 'Path. Within the release; parts that follow no known pattern are replaced by a keyed hash.';
COMMENT ON COLUMN raw.intake_issue.item IS 'Item. Row or archive member, where the issue concerns only that.';
COMMENT ON COLUMN raw.intake_issue.code IS 'Code. Kind of the issue.';
COMMENT ON COLUMN raw.intake_issue.message IS 'Message. What is wrong, and what to do.';
COMMENT ON COLUMN raw.intake_issue.participant_id IS 'Participant. Pseudonym, where known.';
COMMENT ON COLUMN raw.intake_issue.visit IS 'Visit. Where known.';
COMMENT ON COLUMN raw.intake_issue.is_refusal IS 'Is a refusal. True: not taken in; false: taken in with this remark.';
