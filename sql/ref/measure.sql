-- The registry of measures: what the warehouse computes, and what releases declare in measures.csv.
CREATE TABLE IF NOT EXISTS ref.measure (
    measure VARCHAR NOT NULL,
    label VARCHAR NOT NULL,
    unit VARCHAR NOT NULL,
    kind VARCHAR NOT NULL CHECK (kind IN ('muscle', 'covariate', 'declared')),
    definition VARCHAR,
    plausible_low DOUBLE,
    plausible_high DOUBLE
);
COMMENT ON TABLE ref.measure IS 'Measure. Everything that can have statistics and percentiles is a row here.';
COMMENT ON COLUMN ref.measure.measure IS 'Measure. Name, used in all tables.';
COMMENT ON COLUMN ref.measure.label IS 'Label. As shown to people.';
COMMENT ON COLUMN ref.measure.unit IS 'Unit. Of the value.';
COMMENT ON COLUMN ref.measure.kind IS 'Kind. muscle (known, gets norms), covariate, or declared by a release (gets norms).';
COMMENT ON COLUMN ref.measure.definition IS 'Definition. What exactly is measured.';
COMMENT ON COLUMN ref.measure.plausible_low IS 'Plausible from. The median of a sample cannot lie below, or its unit is another; in the unit of the measure, NULL = not known.';
COMMENT ON COLUMN ref.measure.plausible_high IS 'Plausible to. The median of a sample cannot lie above; in the unit of the measure, NULL = not known.';
