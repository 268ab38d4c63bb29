-- Covariates as delivered, one row per participant, visit and release.
CREATE TABLE IF NOT EXISTS raw.participant (
    study VARCHAR NOT NULL,
    participant_id VARCHAR NOT NULL,
    visit VARCHAR NOT NULL,
    release VARCHAR NOT NULL,
    sex VARCHAR CHECK (sex IN ('F', 'M')),
    age_years DOUBLE,
    height_cm DOUBLE,
    weight_kg DOUBLE,
    bmi_kg_m2 DOUBLE,
    centre VARCHAR,
    mri_centre VARCHAR,
    exam_years DOUBLE
);
COMMENT ON TABLE raw.participant IS 'Participant. Covariates from participants.csv; missing codes are NULL and have a row in raw.intake_issue.';
COMMENT ON COLUMN raw.participant.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN raw.participant.participant_id IS 'Participant. Pseudonym as delivered.';
COMMENT ON COLUMN raw.participant.visit IS 'Visit. Verbatim text; NAKO: 30 = baseline, 60 = follow-up.';
COMMENT ON COLUMN raw.participant.release IS 'Release. Delivery that brought the row.';
COMMENT ON COLUMN raw.participant.sex IS 'Sex. F or M.';
COMMENT ON COLUMN raw.participant.age_years IS 'Age. At the visit. [years]';
COMMENT ON COLUMN raw.participant.height_cm IS 'Height. Measured at the visit. [cm]';
COMMENT ON COLUMN raw.participant.weight_kg IS 'Weight. Measured at the visit. [kg]';
COMMENT ON COLUMN raw.participant.bmi_kg_m2 IS 'Body mass index. Weight / height^2, NULL where either is missing. [kg/m2]';
COMMENT ON COLUMN raw.participant.centre IS 'Study centre. As delivered.';
COMMENT ON COLUMN raw.participant.mri_centre IS 'Imaging centre. Where delivered.';
COMMENT ON COLUMN raw.participant.exam_years IS 'Time since the first examination. Where delivered. [years]';
