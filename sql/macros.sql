-- Functions of the pipeline; those for readers are in formulas.sql.

-- Cases whose images are new or changed for the model, or whose failure was the machine's: manifest against ledger.
CREATE OR REPLACE MACRO segmentation_worklist(wanted_model) AS TABLE
WITH image AS (
    SELECT
        study, participant_id, visit, release,
        sha256(string_agg(image_sha256, '' ORDER BY list_position(['in', 'opp', 'fat', 'water'], contrast))) AS image_sha256
    FROM raw.current_dixon_series
    GROUP BY ALL
)
SELECT
    image.*,
    if(ledger.image_sha256 = image.image_sha256, ledger.attempts, 0) AS attempts,
    coalesce(ledger.image_sha256 = image.image_sha256 AND ledger.code = 'out_of_memory', false) AS is_low_memory
FROM image
LEFT JOIN imaging.segmentation AS ledger
    ON (ledger.study, ledger.participant_id, ledger.visit, ledger.model_version)
        = (image.study, image.participant_id, image.visit, wanted_model)
WHERE ledger.image_sha256 IS DISTINCT FROM image.image_sha256
    OR (ledger.code IN ('deadline', 'worker_died', 'out_of_memory', 'corrupt_volume') AND ledger.attempts < 3);
