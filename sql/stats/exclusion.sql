-- Exclusions by reason and by who was excluded.
CREATE TABLE IF NOT EXISTS stats.exclusion (
    analysis_set VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    grouping VARCHAR NOT NULL,
    category VARCHAR,
    n INTEGER,
    pct DOUBLE
);
COMMENT ON TABLE stats.exclusion IS 'Exclusion. Counts by reason and one grouping at a time; filled with quality control.';
COMMENT ON COLUMN stats.exclusion.analysis_set IS 'Analysis set. In ref.analysis_set.';
COMMENT ON COLUMN stats.exclusion.reason IS 'Reason. Code of the refusal, failure or rejection.';
COMMENT ON COLUMN stats.exclusion.grouping IS 'Grouping. sex, age_band, bmi_band or centre.';
COMMENT ON COLUMN stats.exclusion.category IS 'Category. Of the grouping.';
COMMENT ON COLUMN stats.exclusion.n IS 'Persons. Number behind the row. [1]';
COMMENT ON COLUMN stats.exclusion.pct IS 'Share. Of the persons of the category. [%]';
