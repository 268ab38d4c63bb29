-- How far the norms moved, and why.
CREATE TABLE IF NOT EXISTS norms.shift (
    analysis_set VARCHAR NOT NULL,
    measure VARCHAR NOT NULL,
    sex VARCHAR NOT NULL,
    covariates VARCHAR NOT NULL,
    comparison VARCHAR NOT NULL,
    former VARCHAR,
    n_left_out INTEGER,
    n_cells INTEGER,
    mean_shift_points DOUBLE,
    largest_shift_points DOUBLE,
    age_years INTEGER,
    bmi_kg_m2 INTEGER,
    centile INTEGER,
    code_version VARCHAR DEFAULT getvariable('code_version')
);
COMMENT ON TABLE norms.shift IS 'Shift. How far norms move: against the last published ones, and without the cases that quality control warned about. One row per comparison and model.';
COMMENT ON COLUMN norms.shift.analysis_set IS 'Analysis set. In ref.analysis_set.';
COMMENT ON COLUMN norms.shift.measure IS 'Measure. Name in ref.measure.';
COMMENT ON COLUMN norms.shift.sex IS 'Sex. F or M.';
COMMENT ON COLUMN norms.shift.covariates IS 'Covariates. "age", or "age,bmi".';
COMMENT ON COLUMN norms.shift.comparison IS 'Comparison. "last publication" or "without warned cases".';
COMMENT ON COLUMN norms.shift.former IS 'Former norms. Snapshot and analysis set compared with; NULL for "without warned cases".';
COMMENT ON COLUMN norms.shift.n_left_out IS 'Persons left out. By the sensitivity analysis. [1]';
COMMENT ON COLUMN norms.shift.n_cells IS 'Grid points. In common. [1]';
COMMENT ON COLUMN norms.shift.mean_shift_points IS 'Mean shift. Mean absolute shift of a centile. [percentile points]';
COMMENT ON COLUMN norms.shift.largest_shift_points IS 'Largest shift. Percentile of the former centiles value under the current norms, minus its own. [percentile points]';
COMMENT ON COLUMN norms.shift.age_years IS 'Age. Where the largest shift is. [years]';
COMMENT ON COLUMN norms.shift.bmi_kg_m2 IS 'Body mass index. Where the largest shift is; NULL = all BMI. [kg/m2]';
COMMENT ON COLUMN norms.shift.centile IS 'Centile. The one that moved most. [%]';
COMMENT ON COLUMN norms.shift.code_version IS 'Code version. Hash of the code and SQL that computed the row.';
