-- Values measured elsewhere, through the measurements.csv door.
CREATE TABLE IF NOT EXISTS raw.measurement (
    study VARCHAR NOT NULL,
    participant_id VARCHAR NOT NULL,
    visit VARCHAR NOT NULL,
    release VARCHAR NOT NULL,
    measure VARCHAR NOT NULL,
    value DOUBLE NOT NULL,
    unit VARCHAR
);
COMMENT ON TABLE raw.measurement IS 'Imported measurement. Values of measurements.csv, one row per participant, visit, measure and release.';
COMMENT ON COLUMN raw.measurement.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN raw.measurement.participant_id IS 'Participant. Pseudonym as delivered.';
COMMENT ON COLUMN raw.measurement.visit IS 'Visit. Verbatim text; NAKO: 30 = baseline, 60 = follow-up.';
COMMENT ON COLUMN raw.measurement.release IS 'Release. Delivery that brought the value.';
COMMENT ON COLUMN raw.measurement.measure IS 'Measure. Name in ref.measure.';
COMMENT ON COLUMN raw.measurement.value IS 'Value. In the unit of the measure.';
COMMENT ON COLUMN raw.measurement.unit IS 'Unit. As delivered; equal to the unit of the measure.';
