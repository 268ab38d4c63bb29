-- z-scores of persons against the current norms.
CREATE TABLE IF NOT EXISTS scores.phenotype_z (
    analysis_set VARCHAR NOT NULL,
    study VARCHAR NOT NULL,
    participant_id VARCHAR NOT NULL,
    visit VARCHAR NOT NULL,
    measure VARCHAR NOT NULL,
    z DOUBLE,
    percentile_pct DOUBLE
);
COMMENT ON TABLE scores.phenotype_z IS 'Phenotype z-score. Filled with the full normative models; research file only.';
COMMENT ON COLUMN scores.phenotype_z.analysis_set IS 'Analysis set. In ref.analysis_set.';
COMMENT ON COLUMN scores.phenotype_z.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN scores.phenotype_z.participant_id IS 'Participant. Pseudonym as delivered.';
COMMENT ON COLUMN scores.phenotype_z.visit IS 'Visit. Verbatim text.';
COMMENT ON COLUMN scores.phenotype_z.measure IS 'Measure. Name in ref.measure.';
COMMENT ON COLUMN scores.phenotype_z.z IS 'z-score. Given sex, age and BMI. [1]';
COMMENT ON COLUMN scores.phenotype_z.percentile_pct IS 'Percentile. Given sex, age and BMI. [%]';
