-- L, M, S on the same grid.
CREATE TABLE IF NOT EXISTS norms.lms (
    analysis_set VARCHAR NOT NULL,
    measure VARCHAR NOT NULL,
    sex VARCHAR NOT NULL,
    age_years INTEGER NOT NULL,
    bmi_kg_m2 INTEGER,
    l DOUBLE,
    m DOUBLE,
    s DOUBLE,
    n_near INTEGER
);
COMMENT ON TABLE norms.lms IS 'LMS. z = ((y / m)^l - 1) / (l s), with l = 0: ln(y / m) / s (Cole and Green 1992).';
COMMENT ON COLUMN norms.lms.analysis_set IS 'Analysis set. In ref.analysis_set.';
COMMENT ON COLUMN norms.lms.measure IS 'Measure. Name in ref.measure.';
COMMENT ON COLUMN norms.lms.sex IS 'Sex. F or M.';
COMMENT ON COLUMN norms.lms.age_years IS 'Age. [years]';
COMMENT ON COLUMN norms.lms.bmi_kg_m2 IS 'Body mass index. NULL = all BMI. [kg/m2]';
COMMENT ON COLUMN norms.lms.l IS 'L. Box-Cox power. [1]';
COMMENT ON COLUMN norms.lms.m IS 'M. Median, in the unit of the measure.';
COMMENT ON COLUMN norms.lms.s IS 'S. Generalised coefficient of variation. [1]';
COMMENT ON COLUMN norms.lms.n_near IS 'Persons near. Of that sex within 2.5 years and 2.5 kg/m2. [1]';
