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
    max_csa_perpendicular_cm2 DOUBLE,
    mean_csa_cm2 DOUBLE,
    centroid_x_mm DOUBLE,
    centroid_y_mm DOUBLE,
    centroid_z_mm DOUBLE,
    extent_x_mm DOUBLE,
    extent_y_mm DOUBLE,
    extent_z_mm DOUBLE,
    n_components INTEGER,
    largest_component_share_pct DOUBLE,
    is_truncated BOOLEAN,
    is_cut_cranially BOOLEAN,
    is_cut_caudally BOOLEAN,
    is_cut_laterally BOOLEAN,
    has_gap BOOLEAN,
    fat_fraction_pct DOUBLE,
    fat_fraction_plain_pct DOUBLE,
    slice_thickness_mm DOUBLE,
    slice_tilt_deg DOUBLE,
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
COMMENT ON COLUMN imaging.muscle.max_csa_perpendicular_cm2 IS 'Largest area across the body axis. The largest area times the cosine of the slices'' tilt. [cm2]';
COMMENT ON COLUMN imaging.muscle.mean_csa_cm2 IS 'Mean cross-sectional area. Over the slices from first to last; NULL where truncated. [cm2]';
COMMENT ON COLUMN imaging.muscle.centroid_x_mm IS 'Centroid, x. World x of the mask, growing to the right. [mm]';
COMMENT ON COLUMN imaging.muscle.centroid_y_mm IS 'Centroid, y. World y of the mask, growing to the front. [mm]';
COMMENT ON COLUMN imaging.muscle.centroid_z_mm IS 'Centroid, z. World z of the mask, growing to the head. [mm]';
COMMENT ON COLUMN imaging.muscle.extent_x_mm IS 'Extent, x. Of the mask, along the first voxel axis. [mm]';
COMMENT ON COLUMN imaging.muscle.extent_y_mm IS 'Extent, y. Of the mask, along the second voxel axis. [mm]';
COMMENT ON COLUMN imaging.muscle.extent_z_mm IS 'Extent, z. Of the mask, first to last slice. [mm]';
COMMENT ON COLUMN imaging.muscle.n_components IS 'Components. Parts of the mask; voxels that share a face are connected. [1]';
COMMENT ON COLUMN imaging.muscle.largest_component_share_pct IS 'Largest component. Its share of the mask. [%]';
COMMENT ON COLUMN imaging.muscle.is_truncated IS 'Is truncated. The mask touches the border of the field of view.';
COMMENT ON COLUMN imaging.muscle.is_cut_cranially IS 'Is cut cranially. The mask reaches the uppermost slice.';
COMMENT ON COLUMN imaging.muscle.is_cut_caudally IS 'Is cut caudally. The mask reaches the lowest slice.';
COMMENT ON COLUMN imaging.muscle.is_cut_laterally IS 'Is cut laterally. The mask reaches the border of a slice.';
COMMENT ON COLUMN imaging.muscle.has_gap IS 'Has a gap. An empty slice lies between first and last.';
COMMENT ON COLUMN imaging.muscle.fat_fraction_pct IS 'Fat fraction. Sum F / sum (F + W) over the mask eroded by one voxel; a T1-weighted two-point signal fraction, not PDFF. [%]';
COMMENT ON COLUMN imaging.muscle.fat_fraction_plain_pct IS 'Fat fraction, whole mask. Sum F / sum (F + W) over the mask as it is. [%]';
COMMENT ON COLUMN imaging.muscle.slice_thickness_mm IS 'Slice thickness. Of the images. [mm]';
COMMENT ON COLUMN imaging.muscle.slice_tilt_deg IS 'Tilt. Angle between the normal of the slices and the body axis (world z). [deg]';
COMMENT ON COLUMN imaging.muscle.reason IS 'Reason. Why a measurement is NULL.';
COMMENT ON COLUMN imaging.muscle.mask_sha256 IS 'Mask hash. Of the mask that was measured.';
COMMENT ON COLUMN imaging.muscle.release IS 'Release. Delivery the images came from.';
