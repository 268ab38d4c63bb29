-- Percentiles by sex, age band and BMI class.
CREATE TABLE IF NOT EXISTS stats.band_percentile (
    analysis_set VARCHAR NOT NULL,
    measure VARCHAR NOT NULL,
    sex VARCHAR,
    age_band VARCHAR,
    bmi_band VARCHAR,
    n INTEGER,
    p10 DOUBLE,
    p10_low DOUBLE,
    p10_high DOUBLE,
    p25 DOUBLE,
    p25_low DOUBLE,
    p25_high DOUBLE,
    p50 DOUBLE,
    p50_low DOUBLE,
    p50_high DOUBLE,
    p75 DOUBLE,
    p75_low DOUBLE,
    p75_high DOUBLE,
    p90 DOUBLE,
    p90_low DOUBLE,
    p90_high DOUBLE,
    weighting VARCHAR DEFAULT 'unweighted',
    code_version VARCHAR DEFAULT getvariable('code_version'),
    suppression VARCHAR
);
COMMENT ON TABLE stats.band_percentile IS 'Banded percentiles. One row per measure and cell; persons at their first analysed visit.';
COMMENT ON COLUMN stats.band_percentile.analysis_set IS 'Analysis set. In ref.analysis_set.';
COMMENT ON COLUMN stats.band_percentile.measure IS 'Measure. Name in ref.measure.';
COMMENT ON COLUMN stats.band_percentile.sex IS 'Sex. F or M; NULL = pooled.';
COMMENT ON COLUMN stats.band_percentile.age_band IS 'Age band. In ref.band; NULL = all ages.';
COMMENT ON COLUMN stats.band_percentile.bmi_band IS 'BMI class. In ref.band; NULL = all BMI, persons without BMI included.';
COMMENT ON COLUMN stats.band_percentile.n IS 'Persons. Number behind the row. [1]';
COMMENT ON COLUMN stats.band_percentile.p10 IS 'P10. Empirical percentile, type 7, in the unit of the measure.';
COMMENT ON COLUMN stats.band_percentile.p10_low IS 'Lower 95 % limit of P10. Binomial order statistics, in the unit of the measure.';
COMMENT ON COLUMN stats.band_percentile.p10_high IS 'Upper 95 % limit of P10. Binomial order statistics, in the unit of the measure.';
COMMENT ON COLUMN stats.band_percentile.p25 IS 'P25. Empirical percentile, type 7, in the unit of the measure.';
COMMENT ON COLUMN stats.band_percentile.p25_low IS 'Lower 95 % limit of P25. Binomial order statistics, in the unit of the measure.';
COMMENT ON COLUMN stats.band_percentile.p25_high IS 'Upper 95 % limit of P25. Binomial order statistics, in the unit of the measure.';
COMMENT ON COLUMN stats.band_percentile.p50 IS 'P50. Empirical percentile, type 7, in the unit of the measure.';
COMMENT ON COLUMN stats.band_percentile.p50_low IS 'Lower 95 % limit of P50. Binomial order statistics, in the unit of the measure.';
COMMENT ON COLUMN stats.band_percentile.p50_high IS 'Upper 95 % limit of P50. Binomial order statistics, in the unit of the measure.';
COMMENT ON COLUMN stats.band_percentile.p75 IS 'P75. Empirical percentile, type 7, in the unit of the measure.';
COMMENT ON COLUMN stats.band_percentile.p75_low IS 'Lower 95 % limit of P75. Binomial order statistics, in the unit of the measure.';
COMMENT ON COLUMN stats.band_percentile.p75_high IS 'Upper 95 % limit of P75. Binomial order statistics, in the unit of the measure.';
COMMENT ON COLUMN stats.band_percentile.p90 IS 'P90. Empirical percentile, type 7, in the unit of the measure.';
COMMENT ON COLUMN stats.band_percentile.p90_low IS 'Lower 95 % limit of P90. Binomial order statistics, in the unit of the measure.';
COMMENT ON COLUMN stats.band_percentile.p90_high IS 'Upper 95 % limit of P90. Binomial order statistics, in the unit of the measure.';
COMMENT ON COLUMN stats.band_percentile.weighting IS 'Weighting. unweighted: no survey weights are used.';
COMMENT ON COLUMN stats.band_percentile.code_version IS 'Code version. Hash of the code and SQL that computed the row.';
COMMENT ON COLUMN stats.band_percentile.suppression IS 'Suppression. Why the published row is empty or older; NULL where it is shown, and in the research file.';
