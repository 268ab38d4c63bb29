-- The ledger of the segmentation: one row per case and model, whether it succeeded or not.
CREATE TABLE IF NOT EXISTS imaging.segmentation (
    study VARCHAR NOT NULL,
    participant_id VARCHAR NOT NULL,
    visit VARCHAR NOT NULL,
    model_version VARCHAR NOT NULL,
    status VARCHAR NOT NULL CHECK (status IN ('done', 'failed')),
    code VARCHAR,
    message VARCHAR,
    attempts INTEGER NOT NULL,
    image_sha256 VARCHAR NOT NULL,
    mask_path VARCHAR,
    mask_sha256 VARCHAR,
    seconds DOUBLE,
    device VARCHAR,
    precision VARCHAR,
    is_low_memory BOOLEAN NOT NULL
);
COMMENT ON TABLE imaging.segmentation IS 'Segmentation. Ledger of cases and models; a failed case has a code and a sentence.';
COMMENT ON COLUMN imaging.segmentation.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN imaging.segmentation.participant_id IS 'Participant. Pseudonym as delivered.';
COMMENT ON COLUMN imaging.segmentation.visit IS 'Visit. Verbatim text; NAKO: 30 = baseline, 60 = follow-up.';
COMMENT ON COLUMN imaging.segmentation.model_version IS 'Model. Version of the segmentation model.';
COMMENT ON COLUMN imaging.segmentation.status IS 'Status. done or failed.';
COMMENT ON COLUMN imaging.segmentation.code IS 'Code. Kind of the failure; NULL where done.';
COMMENT ON COLUMN imaging.segmentation.message IS 'Message. What went wrong, and what to do; NULL where done.';
COMMENT ON COLUMN imaging.segmentation.attempts IS 'Attempts. How often the case was tried. [1]';
COMMENT ON COLUMN imaging.segmentation.image_sha256 IS 'Image hash. sha256 over the hashes of in, opp, fat, water: what was segmented.';
COMMENT ON COLUMN imaging.segmentation.mask_path IS 'Mask path. Label map, relative to MYONORM_HOME.';
COMMENT ON COLUMN imaging.segmentation.mask_sha256 IS 'Mask hash. sha256 over dtype, shape, affine and voxels of the mask.';
COMMENT ON COLUMN imaging.segmentation.seconds IS 'Duration. Reading to written mask, waiting for the network''s turn left out. [s]';
COMMENT ON COLUMN imaging.segmentation.device IS 'Device. cpu or cuda.';
COMMENT ON COLUMN imaging.segmentation.precision IS 'Precision. Number format of the network: float32, bfloat16 or bfloat16-channels-last.';
COMMENT ON COLUMN imaging.segmentation.is_low_memory IS 'Low memory. Whether the last attempt ran in the low-memory mode.';
