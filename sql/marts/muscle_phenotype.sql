-- One row per analysed participant and visit: covariates and the study's measures, from masks or imported.
CREATE TABLE IF NOT EXISTS marts.muscle_phenotype (
    study VARCHAR NOT NULL,
    participant_id VARCHAR NOT NULL,
    visit VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    model_version VARCHAR NOT NULL,
    is_first_visit BOOLEAN NOT NULL,
    sex VARCHAR,
    age_years DOUBLE,
    age_band VARCHAR,
    height_cm DOUBLE,
    weight_kg DOUBLE,
    bmi_kg_m2 DOUBLE,
    bmi_band VARCHAR,
    centre VARCHAR,
    csa_psoas_left_cm2 DOUBLE,
    csa_psoas_right_cm2 DOUBLE,
    csa_psoas_total_cm2 DOUBLE,
    csa_psoas_total_per_height2_cm2_m2 DOUBLE,
    volume_gluteus_left_l DOUBLE,
    volume_gluteus_right_l DOUBLE,
    volume_gluteus_total_l DOUBLE,
    volume_gluteus_total_per_height2_l_m2 DOUBLE,
    asymmetry_psoas_pct DOUBLE,
    asymmetry_gluteus_pct DOUBLE
);
COMMENT ON TABLE marts.muscle_phenotype IS 'Muscle phenotype. Covariates and measures of every analysed participant and visit, one analysis set beside the other; rejected cases are absent, rejected muscles NULL.';
COMMENT ON COLUMN marts.muscle_phenotype.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN marts.muscle_phenotype.participant_id IS 'Participant. Pseudonym as delivered.';
COMMENT ON COLUMN marts.muscle_phenotype.visit IS 'Visit. Verbatim text; NAKO: 30 = baseline, 60 = follow-up.';
COMMENT ON COLUMN marts.muscle_phenotype.source IS 'Source. measured (on masks) or imported (through measurements.csv).';
COMMENT ON COLUMN marts.muscle_phenotype.model_version IS 'Model. Version of the segmentation model; "imported" where imported.';
COMMENT ON COLUMN marts.muscle_phenotype.is_first_visit IS 'Is first visit. The earliest analysed visit of the person in this source and model; statistics use only these.';
COMMENT ON COLUMN marts.muscle_phenotype.sex IS 'Sex. F or M.';
COMMENT ON COLUMN marts.muscle_phenotype.age_years IS 'Age. At the visit. [years]';
COMMENT ON COLUMN marts.muscle_phenotype.age_band IS 'Age band. In ref.band.';
COMMENT ON COLUMN marts.muscle_phenotype.height_cm IS 'Height. Measured at the visit. [cm]';
COMMENT ON COLUMN marts.muscle_phenotype.weight_kg IS 'Weight. Measured at the visit. [kg]';
COMMENT ON COLUMN marts.muscle_phenotype.bmi_kg_m2 IS 'Body mass index. Weight / height^2. [kg/m2]';
COMMENT ON COLUMN marts.muscle_phenotype.bmi_band IS 'BMI class. In ref.band.';
COMMENT ON COLUMN marts.muscle_phenotype.centre IS 'Study centre. As delivered.';
COMMENT ON COLUMN marts.muscle_phenotype.csa_psoas_left_cm2 IS 'Psoas area, left. Largest axial cross-sectional area. [cm2]';
COMMENT ON COLUMN marts.muscle_phenotype.csa_psoas_right_cm2 IS 'Psoas area, right. Largest axial cross-sectional area. [cm2]';
COMMENT ON COLUMN marts.muscle_phenotype.csa_psoas_total_cm2 IS 'Psoas area, left + right. Each maximum on its own slice. [cm2]';
COMMENT ON COLUMN marts.muscle_phenotype.csa_psoas_total_per_height2_cm2_m2 IS 'Psoas area / height^2. Left + right. [cm2/m2]';
COMMENT ON COLUMN marts.muscle_phenotype.volume_gluteus_left_l IS 'Gluteus volume, left. Maximus, medius, minimus and piriformis. [L]';
COMMENT ON COLUMN marts.muscle_phenotype.volume_gluteus_right_l IS 'Gluteus volume, right. Maximus, medius, minimus and piriformis. [L]';
COMMENT ON COLUMN marts.muscle_phenotype.volume_gluteus_total_l IS 'Gluteus volume, left + right. Maximus, medius, minimus and piriformis. [L]';
COMMENT ON COLUMN marts.muscle_phenotype.volume_gluteus_total_per_height2_l_m2 IS 'Gluteus volume / height^2. Left + right. [L/m2]';
COMMENT ON COLUMN marts.muscle_phenotype.asymmetry_psoas_pct IS 'Asymmetry of the psoas. 100 (left - right) / mean of both, of the largest areas. [%]';
COMMENT ON COLUMN marts.muscle_phenotype.asymmetry_gluteus_pct IS 'Asymmetry of the gluteus. 100 (left - right) / mean of both, of the volumes. [%]';

WITH measured AS (
    SELECT
        study, participant_id, visit, 'measured' AS source, model_version,
        max(max_csa_cm2) FILTER (compartment = 'psoas' AND side = 'left') AS csa_left,
        max(max_csa_cm2) FILTER (compartment = 'psoas' AND side = 'right') AS csa_right,
        NULL::DOUBLE AS csa_total,
        max(volume_ml / 1000) FILTER (compartment = 'gluteus' AND side = 'left') AS volume_left,
        max(volume_ml / 1000) FILTER (compartment = 'gluteus' AND side = 'right') AS volume_right,
        NULL::DOUBLE AS volume_total
    FROM imaging.muscle AS muscle
    ANTI JOIN imaging.rejection AS rejection
        ON (rejection.study, rejection.participant_id, rejection.visit, rejection.model_version)
            = (muscle.study, muscle.participant_id, muscle.visit, muscle.model_version)
        AND coalesce(rejection.compartment, muscle.compartment) = muscle.compartment
        AND coalesce(rejection.side, muscle.side) = muscle.side
    GROUP BY ALL
), imported AS (
    SELECT
        study, participant_id, visit, 'imported' AS source, 'imported' AS model_version,
        max(value) FILTER (measure = 'csa_psoas_left_cm2') AS csa_left,
        max(value) FILTER (measure = 'csa_psoas_right_cm2') AS csa_right,
        max(value) FILTER (measure = 'csa_psoas_total_cm2') AS csa_total,
        max(value) FILTER (measure = 'volume_gluteus_left_l') AS volume_left,
        max(value) FILTER (measure = 'volume_gluteus_right_l') AS volume_right,
        max(value) FILTER (measure = 'volume_gluteus_total_l') AS volume_total
    FROM raw.current_measurement
    GROUP BY ALL
), muscle AS (
    SELECT * REPLACE (
        coalesce(csa_total, csa_left + csa_right) AS csa_total,
        coalesce(volume_total, volume_left + volume_right) AS volume_total
    )
    FROM (FROM measured UNION ALL BY NAME FROM imported)
), visits AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY study, participant_id, source, model_version
            ORDER BY covariates.age_years NULLS LAST, try_cast(visit AS INTEGER) NULLS LAST, visit
        ) = 1 AS is_first_visit
    FROM muscle
    LEFT JOIN raw.current_participant AS covariates USING (study, participant_id, visit)
)
SELECT
    study, participant_id, visit, source, model_version, is_first_visit, sex, age_years,
    (SELECT band FROM ref.band WHERE kind = 'age' AND age_years >= lower AND age_years < upper) AS age_band,
    height_cm, weight_kg, bmi_kg_m2,
    (SELECT band FROM ref.band WHERE kind = 'bmi' AND bmi_kg_m2 >= lower AND bmi_kg_m2 < upper) AS bmi_band,
    centre,
    csa_left AS csa_psoas_left_cm2,
    csa_right AS csa_psoas_right_cm2,
    csa_total AS csa_psoas_total_cm2,
    csa_total / (height_cm / 100) ** 2 AS csa_psoas_total_per_height2_cm2_m2,
    volume_left AS volume_gluteus_left_l,
    volume_right AS volume_gluteus_right_l,
    volume_total AS volume_gluteus_total_l,
    volume_total / (height_cm / 100) ** 2 AS volume_gluteus_total_per_height2_l_m2,
    200 * (csa_left - csa_right) / (csa_left + csa_right) AS asymmetry_psoas_pct,
    200 * (volume_left - volume_right) / (volume_left + volume_right) AS asymmetry_gluteus_pct
FROM visits;
