-- Long form: every registered measure of every analysed participant and visit.
CREATE TABLE IF NOT EXISTS marts.phenotype_value (
    study VARCHAR NOT NULL,
    participant_id VARCHAR NOT NULL,
    visit VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    model_version VARCHAR NOT NULL,
    measure VARCHAR NOT NULL,
    value DOUBLE NOT NULL
);
COMMENT ON TABLE marts.phenotype_value IS 'Phenotype value. One row per analysed participant, visit and measure in ref.measure.';
COMMENT ON COLUMN marts.phenotype_value.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN marts.phenotype_value.participant_id IS 'Participant. Pseudonym as delivered.';
COMMENT ON COLUMN marts.phenotype_value.visit IS 'Visit. Verbatim text; NAKO: 30 = baseline, 60 = follow-up.';
COMMENT ON COLUMN marts.phenotype_value.source IS 'Source. measured (on masks) or imported (through measurements.csv).';
COMMENT ON COLUMN marts.phenotype_value.model_version IS 'Model. Version of the segmentation model; "imported" where imported.';
COMMENT ON COLUMN marts.phenotype_value.measure IS 'Measure. Name in ref.measure.';
COMMENT ON COLUMN marts.phenotype_value.value IS 'Value. In the unit of the measure.';

WITH known AS (
    UNPIVOT marts.muscle_phenotype
    ON age_years, height_cm, weight_kg, bmi_kg_m2,
        csa_psoas_left_cm2, csa_psoas_right_cm2, csa_psoas_total_cm2, csa_psoas_total_per_height2_cm2_m2,
        volume_gluteus_left_l, volume_gluteus_right_l, volume_gluteus_total_l, volume_gluteus_total_per_height2_l_m2
    INTO NAME measure VALUE value
)
SELECT study, participant_id, visit, source, model_version, measure, value
FROM known
JOIN ref.measure USING (measure)
UNION ALL
SELECT study, participant_id, visit, 'imported', 'imported', measure, value
FROM raw.current_measurement
JOIN ref.measure USING (measure)
WHERE kind = 'declared';
