-- Which reading of a case counts: a consensus, else the first reader's; the latest of its kind, on the mask as it is now.
CREATE OR REPLACE VIEW imaging.decisive_review AS
SELECT review.*
FROM imaging.review AS review
JOIN imaging.segmentation AS ledger USING (study, participant_id, visit, model_version)
WHERE NOT coalesce(is_undone, false)
    AND coalesce(reading, 'first') <> 'second'
    AND coalesce(review.mask_sha256 = ledger.mask_sha256, review.mask_sha256 IS NULL)
QUALIFY rank() OVER (
    PARTITION BY study, participant_id, visit, model_version
    ORDER BY coalesce(reading, 'first') <> 'consensus', reviewed_at DESC, reader, reading_id
) = 1;
COMMENT ON VIEW imaging.decisive_review IS 'Decisive review. The verdicts that decide on a case. A second reading is for agreement alone: were it to decide, cases drawn for it would be rejected more often than the rest.';
