-- A delivery as it was registered. The order of registration decides which of two deliveries of the same person wins.
CREATE TABLE IF NOT EXISTS raw.release (
    release VARCHAR NOT NULL,
    study VARCHAR NOT NULL,
    registration INTEGER NOT NULL,
    fingerprint VARCHAR NOT NULL,
    has_imaging BOOLEAN NOT NULL,
    notes VARCHAR,
    registered_at TIMESTAMP NOT NULL
);
COMMENT ON TABLE raw.release IS 'Delivery. One row per release that was taken in.';
COMMENT ON COLUMN raw.release.release IS 'Release. Name of the folder under releases/.';
COMMENT ON COLUMN raw.release.study IS 'Study. "synthetic" marks invented data; nothing in it is a real person.';
COMMENT ON COLUMN raw.release.registration IS 'Registration. Order in which releases were first taken in; the later one wins. [1]';
COMMENT ON COLUMN raw.release.fingerprint IS 'Fingerprint. Hash of the names, sizes and times of all files of the release.';
COMMENT ON COLUMN raw.release.has_imaging IS 'Has imaging. The release has an imaging/ folder.';
COMMENT ON COLUMN raw.release.notes IS 'Notes. From release.toml.';
COMMENT ON COLUMN raw.release.registered_at IS 'Registered at. UTC.';
