-- Means and spread by sex, age band and BMI class.
CREATE TABLE IF NOT EXISTS stats.descriptive (
    analysis_set VARCHAR NOT NULL,
    measure VARCHAR NOT NULL,
    sex VARCHAR,
    age_band VARCHAR,
    bmi_band VARCHAR,
    n INTEGER,
    pct DOUBLE,
    mean DOUBLE,
    sd DOUBLE,
    ci_low DOUBLE,
    ci_high DOUBLE,
    weighting VARCHAR DEFAULT 'unweighted',
    code_version VARCHAR DEFAULT getvariable('code_version'),
    suppression VARCHAR
);
COMMENT ON TABLE stats.descriptive IS 'Descriptive statistics. One row per measure and cell; persons at their first analysed visit.';
COMMENT ON COLUMN stats.descriptive.analysis_set IS 'Analysis set. In ref.analysis_set.';
COMMENT ON COLUMN stats.descriptive.measure IS 'Measure. Name in ref.measure.';
COMMENT ON COLUMN stats.descriptive.sex IS 'Sex. F or M; NULL = pooled.';
COMMENT ON COLUMN stats.descriptive.age_band IS 'Age band. In ref.band; NULL = all ages.';
COMMENT ON COLUMN stats.descriptive.bmi_band IS 'BMI class. In ref.band; NULL = all BMI, persons without BMI included.';
COMMENT ON COLUMN stats.descriptive.n IS 'Persons. Number behind the row. [1]';
COMMENT ON COLUMN stats.descriptive.pct IS 'Share. Of the persons of the same sex group with this measure; rows of one sex: of both sexes. [%]';
COMMENT ON COLUMN stats.descriptive.mean IS 'Mean. In the unit of the measure.';
COMMENT ON COLUMN stats.descriptive.sd IS 'Standard deviation. In the unit of the measure.';
COMMENT ON COLUMN stats.descriptive.ci_low IS 'Lower 95 % limit of the mean. t interval, in the unit of the measure.';
COMMENT ON COLUMN stats.descriptive.ci_high IS 'Upper 95 % limit of the mean. t interval, in the unit of the measure.';
COMMENT ON COLUMN stats.descriptive.weighting IS 'Weighting. unweighted: no survey weights are used.';
COMMENT ON COLUMN stats.descriptive.code_version IS 'Code version. Hash of the code and SQL that computed the row.';
COMMENT ON COLUMN stats.descriptive.suppression IS 'Suppression. Why the published row is empty or older; NULL where it is shown, and in the research file.';
