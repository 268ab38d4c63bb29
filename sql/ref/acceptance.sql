-- Releases that a steward took in although their completeness or drift failed.
CREATE TABLE IF NOT EXISTS ref.acceptance (
    release VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    accepted_at TIMESTAMP NOT NULL
);
COMMENT ON TABLE ref.acceptance IS 'Acceptance. Releases whose failing completeness or drift was looked into and accepted; one row per decision.';
COMMENT ON COLUMN ref.acceptance.release IS 'Release. Name of the delivery.';
COMMENT ON COLUMN ref.acceptance.reason IS 'Reason. Why, in the steward''s words.';
COMMENT ON COLUMN ref.acceptance.accepted_at IS 'Accepted at. UTC.';
