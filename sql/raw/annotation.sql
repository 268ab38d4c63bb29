-- Masks that readers drew, through the door annotations/ and annotations.csv.
CREATE TABLE IF NOT EXISTS raw.annotation (
    study VARCHAR NOT NULL,
    participant_id VARCHAR NOT NULL,
    visit VARCHAR NOT NULL,
    reader VARCHAR NOT NULL,
    reading INTEGER NOT NULL,
    release VARCHAR NOT NULL,
    role VARCHAR NOT NULL CHECK (role IN ('train', 'test')),
    is_blinded BOOLEAN,
    annotated_on DATE,
    annotation_path VARCHAR NOT NULL,
    annotation_sha256 VARCHAR NOT NULL,
    image_sha256 VARCHAR NOT NULL,
    has_all_labels BOOLEAN NOT NULL,
    fingerprint VARCHAR NOT NULL
);
COMMENT ON TABLE raw.annotation IS 'Annotation. Masks of the four labels drawn by readers, checked against the images.';
COMMENT ON COLUMN raw.annotation.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN raw.annotation.participant_id IS 'Participant. Pseudonym as delivered.';
COMMENT ON COLUMN raw.annotation.visit IS 'Visit. Verbatim text; NAKO: 30 = baseline, 60 = follow-up.';
COMMENT ON COLUMN raw.annotation.reader IS 'Reader. Code of the person who drew the mask.';
COMMENT ON COLUMN raw.annotation.reading IS 'Reading. Of the same reader and images; 1 = the first. [1]';
COMMENT ON COLUMN raw.annotation.release IS 'Release. Delivery that brought the mask.';
COMMENT ON COLUMN raw.annotation.role IS 'Role. train or test: a training case never gets a test score.';
COMMENT ON COLUMN raw.annotation.is_blinded IS 'Is blinded. The reader saw neither predictions nor other readings.';
COMMENT ON COLUMN raw.annotation.annotated_on IS 'Date. Of the reading, where delivered.';
COMMENT ON COLUMN raw.annotation.annotation_path IS 'Mask path. Label map, relative to MYONORM_HOME.';
COMMENT ON COLUMN raw.annotation.annotation_sha256 IS 'Mask hash. sha256 over dtype, shape, affine and voxels of the mask.';
COMMENT ON COLUMN raw.annotation.image_sha256 IS 'Image hash. Of the in-phase contrast the mask was checked against.';
COMMENT ON COLUMN raw.annotation.has_all_labels IS 'Has all labels. Each of the four has a voxel.';
COMMENT ON COLUMN raw.annotation.fingerprint IS 'Fingerprint. Keyed hash of the delivered file''s name, size and time.';
