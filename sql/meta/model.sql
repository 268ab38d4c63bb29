-- Segmentation models of the installation.
CREATE TABLE IF NOT EXISTS meta.model (
    model_version VARCHAR NOT NULL,
    configuration VARCHAR NOT NULL,
    n_folds INTEGER NOT NULL,
    manifest_sha256 VARCHAR NOT NULL,
    card VARCHAR NOT NULL
);
COMMENT ON TABLE meta.model IS 'Segmentation model. One row per model the warehouse has used.';
COMMENT ON COLUMN meta.model.model_version IS 'Model. Its version.';
COMMENT ON COLUMN meta.model.configuration IS 'Configuration. nnU-Net''s name.';
COMMENT ON COLUMN meta.model.n_folds IS 'Folds. Number of networks averaged. [1]';
COMMENT ON COLUMN meta.model.manifest_sha256 IS 'Manifest hash. sha256 of the manifest, which holds the sha256 of each file.';
COMMENT ON COLUMN meta.model.card IS 'Model card. Markdown.';
