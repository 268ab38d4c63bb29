-- Cross-sectional area per slice, from the first to the last slice of a compartment and side.
CREATE TABLE IF NOT EXISTS imaging.csa_profile (
    study VARCHAR NOT NULL,
    participant_id VARCHAR NOT NULL,
    visit VARCHAR NOT NULL,
    model_version VARCHAR NOT NULL,
    compartment VARCHAR NOT NULL,
    side VARCHAR NOT NULL,
    slice_index SMALLINT NOT NULL,
    z_mm FLOAT NOT NULL,
    position_pct FLOAT NOT NULL,
    csa_cm2 FLOAT NOT NULL CHECK (csa_cm2 >= 0),
    centroid_x_mm FLOAT,
    centroid_y_mm FLOAT,
    fat_fraction_pct FLOAT,
    fat_fraction_eroded_pct FLOAT,
    release VARCHAR NOT NULL
);
COMMENT ON TABLE imaging.csa_profile IS 'CSA profile. Cross-sectional area per axial slice, measured on masks or imported.';
COMMENT ON COLUMN imaging.csa_profile.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN imaging.csa_profile.participant_id IS 'Participant. Pseudonym as delivered.';
COMMENT ON COLUMN imaging.csa_profile.visit IS 'Visit. Verbatim text; NAKO: 30 = baseline, 60 = follow-up.';
COMMENT ON COLUMN imaging.csa_profile.model_version IS 'Model. Version of the segmentation model; "imported" for profiles.parquet.';
COMMENT ON COLUMN imaging.csa_profile.compartment IS 'Compartment. psoas or gluteus.';
COMMENT ON COLUMN imaging.csa_profile.side IS 'Side. left or right of the participant, by world coordinates.';
COMMENT ON COLUMN imaging.csa_profile.slice_index IS 'Slice. Counted from the cranial end of the compartment and side, which is 0. [1]';
COMMENT ON COLUMN imaging.csa_profile.z_mm IS 'Slice position. World z of the slice centre, growing to the head. [mm]';
COMMENT ON COLUMN imaging.csa_profile.position_pct IS 'Position. 100 (i + 0.5) / N from the cranial end, N slices from first to last. [%]';
COMMENT ON COLUMN imaging.csa_profile.csa_cm2 IS 'Cross-sectional area. Mask pixels in the slice times in-plane pixel area; the slice''s tilt against the body axis is imaging.muscle.slice_tilt_deg. [cm2]';
COMMENT ON COLUMN imaging.csa_profile.centroid_x_mm IS 'Centroid, x. World x of the slice''s mask, growing to the right; NULL in an empty slice. [mm]';
COMMENT ON COLUMN imaging.csa_profile.centroid_y_mm IS 'Centroid, y. World y of the slice''s mask, growing to the front; NULL in an empty slice. [mm]';
COMMENT ON COLUMN imaging.csa_profile.fat_fraction_eroded_pct IS 'Fat fraction inside. As the fat fraction, over the mask eroded by one voxel in three dimensions; NULL where nothing is left. [%]';
COMMENT ON COLUMN imaging.csa_profile.fat_fraction_pct IS 'Fat fraction. Sum F / sum (F + W) over the slice''s mask; a T1-weighted two-point signal fraction, not PDFF. [%]';
COMMENT ON COLUMN imaging.csa_profile.release IS 'Release. Delivery the profile came from.';
