-- The manifest: one row per participant, visit, contrast and release whose volume was read, checked and stored.
CREATE TABLE IF NOT EXISTS raw.dixon_series (
    study VARCHAR NOT NULL,
    participant_id VARCHAR NOT NULL,
    visit VARCHAR NOT NULL,
    contrast VARCHAR NOT NULL CHECK (contrast IN ('in', 'opp', 'fat', 'water')),
    release VARCHAR NOT NULL,
    shape INTEGER[3] NOT NULL,
    spacing DOUBLE[3] NOT NULL,
    orientation VARCHAR NOT NULL,
    echo_time_ms DOUBLE,
    repetition_time_ms DOUBLE,
    flip_angle_deg DOUBLE,
    field_strength_t DOUBLE,
    scanner_model VARCHAR,
    software_version VARCHAR,
    n_instances INTEGER NOT NULL,
    image_sha256 VARCHAR NOT NULL,
    nifti_path VARCHAR NOT NULL,
    is_swap_corrected BOOLEAN
);
COMMENT ON TABLE raw.dixon_series IS 'Dixon series. Manifest of the contrast volumes that passed intake.';
COMMENT ON COLUMN raw.dixon_series.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN raw.dixon_series.participant_id IS 'Participant. Pseudonym as delivered.';
COMMENT ON COLUMN raw.dixon_series.visit IS 'Visit. Verbatim text; NAKO: 30 = baseline, 60 = follow-up.';
COMMENT ON COLUMN raw.dixon_series.contrast IS 'Contrast. in = in-phase, opp = opposed-phase, fat, water.';
COMMENT ON COLUMN raw.dixon_series.release IS 'Release. Delivery that brought the images.';
COMMENT ON COLUMN raw.dixon_series.shape IS 'Shape. Voxels along x (left to right), y (back to front), z (foot to head). [1]';
COMMENT ON COLUMN raw.dixon_series.spacing IS 'Spacing. Voxel size along x, y, z. [mm]';
COMMENT ON COLUMN raw.dixon_series.orientation IS 'Orientation. Axis codes of the stored volume.';
COMMENT ON COLUMN raw.dixon_series.echo_time_ms IS 'Echo time. From the DICOM header. [ms]';
COMMENT ON COLUMN raw.dixon_series.repetition_time_ms IS 'Repetition time. From the DICOM header. [ms]';
COMMENT ON COLUMN raw.dixon_series.flip_angle_deg IS 'Flip angle. From the DICOM header. [deg]';
COMMENT ON COLUMN raw.dixon_series.field_strength_t IS 'Field strength. From the DICOM header. [T]';
COMMENT ON COLUMN raw.dixon_series.scanner_model IS 'Scanner model. From the DICOM header.';
COMMENT ON COLUMN raw.dixon_series.software_version IS 'Software version. Of the scanner, from the DICOM header.';
COMMENT ON COLUMN raw.dixon_series.n_instances IS 'Instances. DICOM files of this contrast. [1]';
COMMENT ON COLUMN raw.dixon_series.image_sha256 IS 'Image hash. sha256 over dtype, shape, affine and voxels.';
COMMENT ON COLUMN raw.dixon_series.nifti_path IS 'NIfTI path. Relative to MYONORM_HOME.';
COMMENT ON COLUMN raw.dixon_series.is_swap_corrected IS 'Swap corrected. Water and fat were delivered exchanged and have been exchanged back (MYONORM_CORRECT_SWAPS).';
