-- In which snapshot each published set of persons was last computed and shown.
CREATE TABLE IF NOT EXISTS marts.published_cell (
    measures VARCHAR NOT NULL,
    sex VARCHAR,
    age_band VARCHAR,
    bmi_band VARCHAR,
    snapshot VARCHAR NOT NULL,
    n_withdrawn INTEGER NOT NULL
);
COMMENT ON TABLE marts.published_cell IS 'Published cell. A set of persons that statistics were shown of; they are shown anew only when none or at least the least count of its people changed since.';
COMMENT ON COLUMN marts.published_cell.measures IS 'Measures. What a person must have to be in it, joined by " + ": names in ref.measure, "profile <compartment> <side>", "sex", "centre".';
COMMENT ON COLUMN marts.published_cell.sex IS 'Sex. F or M; NULL = pooled.';
COMMENT ON COLUMN marts.published_cell.age_band IS 'Age band. In ref.band; NULL = all ages.';
COMMENT ON COLUMN marts.published_cell.bmi_band IS 'BMI class. In ref.band, of a profile the BMI group; NULL = all.';
COMMENT ON COLUMN marts.published_cell.snapshot IS 'Snapshot. Stamp of the publication that showed the cell''s present numbers.';
COMMENT ON COLUMN marts.published_cell.n_withdrawn IS 'Withdrawn. Persons of the cell who have withdrawn since. [1]';
