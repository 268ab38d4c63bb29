-- What a mask says of each compartment and side as a whole.
CREATE TABLE IF NOT EXISTS imaging.muscle (
    study VARCHAR NOT NULL,
    participant_id VARCHAR NOT NULL,
    visit VARCHAR NOT NULL,
    model_version VARCHAR NOT NULL,
    compartment VARCHAR NOT NULL,
    side VARCHAR NOT NULL,
    volume_ml DOUBLE,
    max_csa_cm2 DOUBLE,
    max_csa_z_mm DOUBLE,
    max_csa_level_pct DOUBLE,
    max_csa_level_mm DOUBLE,
    is_truncated BOOLEAN,
    has_gap BOOLEAN,
    fat_fraction_pct DOUBLE,
    slice_thickness_mm DOUBLE,
    reason VARCHAR,
    mask_sha256 VARCHAR NOT NULL,
    release VARCHAR NOT NULL
);
COMMENT ON TABLE imaging.muscle IS 'Muscle. Volume and largest cross-sectional area per compartment and side.';
COMMENT ON COLUMN imaging.muscle.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN imaging.muscle.participant_id IS 'Participant. Pseudonym as delivered.';
COMMENT ON COLUMN imaging.muscle.visit IS 'Visit. Verbatim text; NAKO: 30 = baseline, 60 = follow-up.';
COMMENT ON COLUMN imaging.muscle.model_version IS 'Model. Version of the segmentation model.';
COMMENT ON COLUMN imaging.muscle.compartment IS 'Compartment. psoas or gluteus.';
COMMENT ON COLUMN imaging.muscle.side IS 'Side. left or right of the participant, by world coordinates.';
COMMENT ON COLUMN imaging.muscle.volume_ml IS 'Volume. Mask voxels times voxel volume; NULL where truncated by the field of view. [mL]';
COMMENT ON COLUMN imaging.muscle.max_csa_cm2 IS 'Largest cross-sectional area. Of the raw slice areas; NULL where it lies at the border of the field of view. [cm2]';
COMMENT ON COLUMN imaging.muscle.max_csa_z_mm IS 'Position of the largest area. World z of its slice, growing to the head. [mm]';
COMMENT ON COLUMN imaging.muscle.max_csa_level_pct IS 'Level of the largest area. Of the profile smoothed over 15 mm, from the cranial end of the compartment and side. [%]';
COMMENT ON COLUMN imaging.muscle.max_csa_level_mm IS 'Level of the largest area, absolute. Of the profile smoothed over 15 mm, below the cranial end of the gluteus of the same side. [mm]';
COMMENT ON COLUMN imaging.muscle.is_truncated IS 'Is truncated. The mask touches the border of the field of view.';
COMMENT ON COLUMN imaging.muscle.has_gap IS 'Has a gap. An empty slice lies between first and last.';
COMMENT ON COLUMN imaging.muscle.fat_fraction_pct IS 'Fat fraction. Sum F / sum (F + W) over the mask eroded by one voxel; a T1-weighted two-point signal fraction, not PDFF. [%]';
COMMENT ON COLUMN imaging.muscle.slice_thickness_mm IS 'Slice thickness. Of the images. [mm]';
COMMENT ON COLUMN imaging.muscle.reason IS 'Reason. Why a measurement is NULL.';
COMMENT ON COLUMN imaging.muscle.mask_sha256 IS 'Mask hash. Of the mask that was measured.';
COMMENT ON COLUMN imaging.muscle.release IS 'Release. Delivery the images came from.';
