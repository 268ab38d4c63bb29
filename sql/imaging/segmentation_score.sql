-- Agreement of masks with annotated masks, per case and label.
CREATE TABLE IF NOT EXISTS imaging.segmentation_score (
    study VARCHAR NOT NULL,
    participant_id VARCHAR NOT NULL,
    visit VARCHAR NOT NULL,
    model_version VARCHAR,
    comparison VARCHAR NOT NULL CHECK (comparison IN ('automatic', 'intra_reader', 'inter_reader')),
    validation VARCHAR CHECK (validation IN ('out_of_fold', 'test')),
    reader VARCHAR NOT NULL,
    reading INTEGER NOT NULL,
    other_reader VARCHAR,
    other_reading INTEGER,
    compartment VARCHAR NOT NULL,
    side VARCHAR NOT NULL,
    dice DOUBLE,
    surface_dice_3mm DOUBLE,
    hd95_mm DOUBLE,
    precision DOUBLE,
    recall DOUBLE,
    specificity DOUBLE,
    accuracy DOUBLE,
    volume_ml DOUBLE,
    reason VARCHAR,
    annotation_sha256 VARCHAR NOT NULL,
    source_sha256 VARCHAR NOT NULL
);
COMMENT ON TABLE imaging.segmentation_score IS 'Segmentation score. Per case and label: a mask under test against a reference annotation, the first reading of the images.';
COMMENT ON COLUMN imaging.segmentation_score.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN imaging.segmentation_score.participant_id IS 'Participant. Pseudonym as delivered.';
COMMENT ON COLUMN imaging.segmentation_score.visit IS 'Visit. Verbatim text; NAKO: 30 = baseline, 60 = follow-up.';
COMMENT ON COLUMN imaging.segmentation_score.model_version IS 'Model. Version of the segmentation model; NULL where readers are compared.';
COMMENT ON COLUMN imaging.segmentation_score.comparison IS 'Comparison. automatic (model against reader), intra_reader (a reader''s later reading against the first) or inter_reader.';
COMMENT ON COLUMN imaging.segmentation_score.validation IS 'Validation. out_of_fold (training cases, by the one fold that did not see the case) or test (held-out cases, by the model as deployed); NULL where readers are compared.';
COMMENT ON COLUMN imaging.segmentation_score.reader IS 'Reader. Who drew the reference mask; "phantom truth" where it is a training phantom''s own, of a model that brought its scores.';
COMMENT ON COLUMN imaging.segmentation_score.reading IS 'Reading. Of the reference mask. [1]';
COMMENT ON COLUMN imaging.segmentation_score.other_reader IS 'Other reader. Who drew the mask under test; NULL where a model did.';
COMMENT ON COLUMN imaging.segmentation_score.other_reading IS 'Other reading. Of the mask under test; NULL where a model drew it. [1]';
COMMENT ON COLUMN imaging.segmentation_score.compartment IS 'Compartment. psoas or gluteus.';
COMMENT ON COLUMN imaging.segmentation_score.side IS 'Side. left or right of the participant, by world coordinates.';
COMMENT ON COLUMN imaging.segmentation_score.dice IS 'Dice. 2 |A and B| / (|A| + |B|); 0 where one mask is empty, NULL where both are. [1]';
COMMENT ON COLUMN imaging.segmentation_score.surface_dice_3mm IS 'Surface Dice. Share of both surfaces, by marching-cubes area, within 3 mm of the other; 0 where one mask is empty, NULL where both are. [1]';
COMMENT ON COLUMN imaging.segmentation_score.hd95_mm IS 'HD95. Larger of the two directed distances within which 95 % of a surface, by marching-cubes area, lies of the other; NULL where a mask is empty. [mm]';
COMMENT ON COLUMN imaging.segmentation_score.precision IS 'Precision. TP / (TP + FP); NULL where the mask under test is empty. [1]';
COMMENT ON COLUMN imaging.segmentation_score.recall IS 'Recall. TP / (TP + FN); NULL where the reference is empty. [1]';
COMMENT ON COLUMN imaging.segmentation_score.specificity IS 'Specificity. TN / (TN + FP) over all voxels; near 1 by class imbalance. [1]';
COMMENT ON COLUMN imaging.segmentation_score.accuracy IS 'Accuracy. (TP + TN) / all voxels; near 1 by class imbalance. [1]';
COMMENT ON COLUMN imaging.segmentation_score.volume_ml IS 'Reference volume. Voxels of the reference mask times voxel volume. [mL]';
COMMENT ON COLUMN imaging.segmentation_score.reason IS 'Reason. Why a score is NULL.';
COMMENT ON COLUMN imaging.segmentation_score.annotation_sha256 IS 'Annotation hash. Of the reference mask; for phantoms the hash of the manifest of the model that brought the score.';
COMMENT ON COLUMN imaging.segmentation_score.source_sha256 IS 'Source hash. Of what the mask under test is or comes from: stored mask (test), images (out of fold), other reading; for phantoms as the annotation hash.';
