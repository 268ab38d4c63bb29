-- What became of each release's imaging deliveries, in counts.
CREATE TABLE IF NOT EXISTS marts.release_summary (
    release VARCHAR NOT NULL,
    study VARCHAR NOT NULL,
    n_listed INTEGER NOT NULL,
    n_without_images INTEGER NOT NULL,
    n_deliveries INTEGER NOT NULL,
    n_stored INTEGER NOT NULL,
    n_refused INTEGER NOT NULL,
    refused_pct DOUBLE,
    n_unsegmented INTEGER NOT NULL,
    n_rejected INTEGER NOT NULL,
    rejected_pct DOUBLE,
    is_accepted BOOLEAN NOT NULL
);
COMMENT ON TABLE marts.release_summary IS 'Release summary. Completeness of each release with images: expected, delivered, refused, segmented, rejected automatically.';
COMMENT ON COLUMN marts.release_summary.release IS 'Release. Name of the delivery.';
COMMENT ON COLUMN marts.release_summary.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN marts.release_summary.n_listed IS 'Listed. Visits in the release''s table of participants. [1]';
COMMENT ON COLUMN marts.release_summary.n_without_images IS 'Without images. Of those, visits for which no release delivered images. [1]';
COMMENT ON COLUMN marts.release_summary.n_deliveries IS 'Deliveries. Under imaging/, but for those left out rightly (withdrawn, superseded, other runs of one visit). [1]';
COMMENT ON COLUMN marts.release_summary.n_stored IS 'Stored. Deliveries taken in. [1]';
COMMENT ON COLUMN marts.release_summary.n_refused IS 'Refused. Deliveries that were not. [1]';
COMMENT ON COLUMN marts.release_summary.refused_pct IS 'Share refused. Of the deliveries. [%]';
COMMENT ON COLUMN marts.release_summary.n_unsegmented IS 'Unsegmented. Stored cases of the release without a row in the ledger, in the model with most rows. [1]';
COMMENT ON COLUMN marts.release_summary.n_rejected IS 'Rejected. Cases that an automatic check rejects, of the models that segmented nine tenths of the release in the one with fewest. [1]';
COMMENT ON COLUMN marts.release_summary.rejected_pct IS 'Share rejected. Of the stored cases. [%]';
COMMENT ON COLUMN marts.release_summary.is_accepted IS 'Is accepted. A steward accepted the release as it is (ref.acceptance).';

WITH delivery AS (
    SELECT
        release,
        count(*) AS n_deliveries,
        count(*) FILTER (outcome = 'stored') AS n_stored
    FROM raw.imaging_delivery
    WHERE outcome NOT IN ('withdrawn', 'superseded', 'duplicate_run')
    GROUP BY ALL
), image AS (
    SELECT DISTINCT study, participant_id, visit, release FROM raw.current_dixon_series
), listed AS (
    SELECT
        participant.release,
        count(*) AS n_listed,
        count(*) FILTER (image.participant_id IS NULL AND refused.participant_id IS NULL) AS n_without_images
    FROM raw.participant AS participant
    LEFT JOIN image USING (study, participant_id, visit)
    LEFT JOIN (
        SELECT DISTINCT release, participant_id FROM raw.imaging_delivery WHERE outcome <> 'stored'
    ) AS refused ON (refused.release, refused.participant_id) = (participant.release, participant.participant_id)
    GROUP BY ALL
), segmented AS (
    SELECT
        image.release, ledger.model_version,
        count(*) AS n_segmented,
        count(*) FILTER (rejection.participant_id IS NOT NULL) AS n_rejected
    FROM image
    JOIN imaging.segmentation AS ledger USING (study, participant_id, visit)
    LEFT JOIN (
        SELECT * FROM imaging.rejection WHERE state = 'rejected automatically' AND compartment IS NULL
    ) AS rejection
        ON (rejection.study, rejection.participant_id, rejection.visit, rejection.model_version)
            = (image.study, image.participant_id, image.visit, ledger.model_version)
    GROUP BY ALL
), stored AS (
    SELECT release, count(*) AS n_cases FROM image GROUP BY ALL
), masked AS (
    SELECT release, max(n_segmented) AS n_segmented, min(n_rejected) FILTER (n_segmented >= 0.9 * n_cases) AS n_rejected
    FROM segmented JOIN stored USING (release)
    GROUP BY ALL
)
SELECT
    release, study,
    coalesce(n_listed, 0) AS n_listed,
    coalesce(n_without_images, 0) AS n_without_images,
    coalesce(n_deliveries, 0) AS n_deliveries,
    coalesce(n_stored, 0) AS n_stored,
    coalesce(n_deliveries - n_stored, 0) AS n_refused,
    100 * (n_deliveries - n_stored) / nullif(n_deliveries, 0) AS refused_pct,
    coalesce(n_cases - coalesce(n_segmented, 0), 0) AS n_unsegmented,
    coalesce(n_rejected, 0) AS n_rejected,
    100 * n_rejected / nullif(n_stored, 0) AS rejected_pct,
    release IN (SELECT release FROM ref.acceptance) AS is_accepted
FROM raw.release
LEFT JOIN delivery USING (release)
LEFT JOIN listed USING (release)
LEFT JOIN stored USING (release)
LEFT JOIN masked USING (release)
WHERE has_imaging;
