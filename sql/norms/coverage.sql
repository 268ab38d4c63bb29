-- Observed coverage of the centiles.
CREATE TABLE IF NOT EXISTS norms.coverage (
    analysis_set VARCHAR NOT NULL,
    measure VARCHAR NOT NULL,
    sex VARCHAR NOT NULL,
    covariates VARCHAR NOT NULL,
    age_band VARCHAR,
    bmi_band VARCHAR,
    centile INTEGER NOT NULL,
    n INTEGER,
    n_beyond INTEGER,
    observed_pct DOUBLE,
    ci_low DOUBLE,
    ci_high DOUBLE,
    p DOUBLE,
    p_holm DOUBLE,
    code_version VARCHAR DEFAULT getvariable('code_version')
);
COMMENT ON TABLE norms.coverage IS 'Coverage. Share of persons observed below each centile, cross-validated in five folds; cells of at least 20 persons.';
COMMENT ON COLUMN norms.coverage.analysis_set IS 'Analysis set. In ref.analysis_set.';
COMMENT ON COLUMN norms.coverage.measure IS 'Measure. Name in ref.measure.';
COMMENT ON COLUMN norms.coverage.sex IS 'Sex. F or M.';
COMMENT ON COLUMN norms.coverage.covariates IS 'Covariates. "age", or "age,bmi".';
COMMENT ON COLUMN norms.coverage.age_band IS 'Age band. In ref.band; NULL = all.';
COMMENT ON COLUMN norms.coverage.bmi_band IS 'BMI class. In ref.band; NULL = all.';
COMMENT ON COLUMN norms.coverage.centile IS 'Centile. 3, 5, 10, 25, 50, 75, 90, 95 or 97. [%]';
COMMENT ON COLUMN norms.coverage.n IS 'Persons. Of the cell. [1]';
COMMENT ON COLUMN norms.coverage.n_beyond IS 'Persons beyond. Expected on the smaller side of the centile. [1]';
COMMENT ON COLUMN norms.coverage.observed_pct IS 'Observed. Share of persons below the centile. [%]';
COMMENT ON COLUMN norms.coverage.ci_low IS 'Lower 95 % limit. Exact binomial. [%]';
COMMENT ON COLUMN norms.coverage.ci_high IS 'Upper 95 % limit. Exact binomial. [%]';
COMMENT ON COLUMN norms.coverage.p IS 'p-value. Two-sided exact binomial test of the observed share. [1]';
COMMENT ON COLUMN norms.coverage.p_holm IS 'Corrected p-value. Holm, over all rows of the table. [1]';
COMMENT ON COLUMN norms.coverage.code_version IS 'Code version. Hash of the code and SQL that computed the row.';
