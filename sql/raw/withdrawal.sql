-- Withdrawn participants, by a keyed hash that outlives the pseudonym.
CREATE TABLE IF NOT EXISTS raw.withdrawal (
    study VARCHAR NOT NULL,
    participant_hmac VARCHAR NOT NULL,
    release VARCHAR NOT NULL,
    source VARCHAR
);
COMMENT ON TABLE raw.withdrawal IS 'Withdrawal. Tombstones: a withdrawn person is never taken in again.';
COMMENT ON COLUMN raw.withdrawal.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN raw.withdrawal.participant_hmac IS 'Participant hash. HMAC-SHA256 of study and pseudonym under the installation''s secret key.';
COMMENT ON COLUMN raw.withdrawal.release IS 'Release. Delivery that brought the withdrawal.';
COMMENT ON COLUMN raw.withdrawal.source IS 'Source. In which the person had data until then: measured, imported, or NULL where in none; one row each.';
