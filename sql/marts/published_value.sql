-- What was behind the published cells: the people of the last publications, so that a cell's change can be counted.
CREATE TABLE IF NOT EXISTS marts.published_value (
    analysis_set VARCHAR NOT NULL,
    study VARCHAR NOT NULL,
    participant_id VARCHAR NOT NULL,
    measure VARCHAR NOT NULL,
    value DOUBLE NOT NULL,
    sex VARCHAR,
    age_band VARCHAR,
    bmi_band VARCHAR,
    since VARCHAR NOT NULL,
    until VARCHAR
);
COMMENT ON TABLE marts.published_value IS 'Published value. Values and bands of persons as of each publication that a published cell rests on.';
COMMENT ON COLUMN marts.published_value.analysis_set IS 'Analysis set. In ref.analysis_set.';
COMMENT ON COLUMN marts.published_value.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN marts.published_value.participant_id IS 'Participant. Pseudonym as delivered.';
COMMENT ON COLUMN marts.published_value.measure IS 'Measure. Name in ref.measure, "profile <compartment> <side>", "sex" or "centre".';
COMMENT ON COLUMN marts.published_value.value IS 'Value. In the unit of the measure; of a profile, a sex or a centre a checksum.';
COMMENT ON COLUMN marts.published_value.sex IS 'Sex. F or M.';
COMMENT ON COLUMN marts.published_value.age_band IS 'Age band. In ref.band.';
COMMENT ON COLUMN marts.published_value.bmi_band IS 'BMI class. In ref.band; of a profile the BMI group.';
COMMENT ON COLUMN marts.published_value.since IS 'Since. First snapshot with this value and these bands.';
COMMENT ON COLUMN marts.published_value.until IS 'Until. First snapshot without them; NULL = in force.';
