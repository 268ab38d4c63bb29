-- Segmentation models of the installation.
CREATE TABLE IF NOT EXISTS meta.model (
    model_version VARCHAR NOT NULL,
    configuration VARCHAR NOT NULL,
    n_folds INTEGER NOT NULL,
    manifest_sha256 VARCHAR NOT NULL,
    card VARCHAR NOT NULL,
    is_current BOOLEAN NOT NULL,
    promoted_at TIMESTAMP,
    scores VARCHAR
);
COMMENT ON TABLE meta.model IS 'Segmentation model. One row per model the warehouse has used.';
COMMENT ON COLUMN meta.model.model_version IS 'Model. Its version.';
COMMENT ON COLUMN meta.model.configuration IS 'Configuration. nnU-Net''s name.';
COMMENT ON COLUMN meta.model.n_folds IS 'Folds. Number of networks averaged. [1]';
COMMENT ON COLUMN meta.model.manifest_sha256 IS 'Manifest hash. sha256 of the manifest, which holds the sha256 of each file.';
COMMENT ON COLUMN meta.model.card IS 'Model card. Markdown.';
COMMENT ON COLUMN meta.model.is_current IS 'Is current. The model in force at the publication.';
COMMENT ON COLUMN meta.model.promoted_at IS 'Promoted at. Last explicit promotion, UTC; NULL where there was none.';
COMMENT ON COLUMN meta.model.scores IS 'Scores. At the promotion: mean Dice per label beside the former model''s on the held-out cases both were scored on, as JSON; NULL where a label has fewer cases than may be shown.';
