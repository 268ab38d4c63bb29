-- What was found in the imaging folders and what became of it: an unchanged delivery is not opened again.
CREATE TABLE IF NOT EXISTS raw.imaging_delivery (
    release VARCHAR NOT NULL,
    study VARCHAR NOT NULL,
    path VARCHAR NOT NULL,
    layout VARCHAR NOT NULL,
    fingerprint VARCHAR NOT NULL,
    outcome VARCHAR NOT NULL,
    participant_id VARCHAR,
    visit VARCHAR
);
COMMENT ON TABLE raw.imaging_delivery IS 'Imaging delivery. One row per participant''s visit as found under imaging/, with what became of it.';
COMMENT ON COLUMN raw.imaging_delivery.release IS 'Release. Delivery it lies in.';
COMMENT ON COLUMN raw.imaging_delivery.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN raw.imaging_delivery.path IS 'Path. Within the release; parts that follow no known pattern are replaced by a keyed hash.';
COMMENT ON COLUMN raw.imaging_delivery.layout IS 'Layout. composed, stations, dicom or nifti.';
COMMENT ON COLUMN raw.imaging_delivery.fingerprint IS 'Fingerprint. Keyed hash of the names, sizes and times of its files.';
COMMENT ON COLUMN raw.imaging_delivery.outcome IS 'Outcome. stored, or the code in raw.intake_issue.';
COMMENT ON COLUMN raw.imaging_delivery.participant_id IS 'Participant. Pseudonym, where known.';
COMMENT ON COLUMN raw.imaging_delivery.visit IS 'Visit. Where known.';
