-- Normative centiles on the grid of integer ages and BMIs inside the support.
CREATE TABLE IF NOT EXISTS norms.centile (
    analysis_set VARCHAR NOT NULL,
    measure VARCHAR NOT NULL,
    sex VARCHAR NOT NULL,
    age_years INTEGER NOT NULL,
    bmi_kg_m2 INTEGER,
    centile INTEGER NOT NULL,
    value DOUBLE,
    ci_low DOUBLE,
    ci_high DOUBLE,
    se_z DOUBLE,
    code_version VARCHAR DEFAULT getvariable('code_version')
);
COMMENT ON TABLE norms.centile IS 'Centile. Of the current norms; grid points with at least 10 persons of the sex within 2.5 years and 2.5 kg/m2. P3, P5, P95, P97 only where se_z is at most 0.15.';
COMMENT ON COLUMN norms.centile.analysis_set IS 'Analysis set. In ref.analysis_set.';
COMMENT ON COLUMN norms.centile.measure IS 'Measure. Name in ref.measure.';
COMMENT ON COLUMN norms.centile.sex IS 'Sex. F or M.';
COMMENT ON COLUMN norms.centile.age_years IS 'Age. [years]';
COMMENT ON COLUMN norms.centile.bmi_kg_m2 IS 'Body mass index. NULL = all BMI. [kg/m2]';
COMMENT ON COLUMN norms.centile.centile IS 'Centile. 3, 5, 10, 25, 50, 75, 90, 95 or 97. [%]';
COMMENT ON COLUMN norms.centile.value IS 'Value. In the unit of the measure.';
COMMENT ON COLUMN norms.centile.ci_low IS 'Lower 95 % limit. In the unit of the measure.';
COMMENT ON COLUMN norms.centile.ci_high IS 'Upper 95 % limit. In the unit of the measure.';
COMMENT ON COLUMN norms.centile.se_z IS 'Standard error. In units of z. [1]';
COMMENT ON COLUMN norms.centile.code_version IS 'Code version. Hash of the code and SQL that computed the row.';
