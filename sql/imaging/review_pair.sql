-- First and second verdicts on one muscle of one mask, by two readers: what agreement is computed from.
CREATE OR REPLACE VIEW imaging.review_pair AS
WITH muscle (compartment, side) AS (
    VALUES ('psoas', 'left'), ('psoas', 'right'), ('gluteus', 'left'), ('gluteus', 'right')
), verdict AS (
    SELECT
        study, participant_id, visit, model_version, mask_sha256, muscle.compartment, muscle.side, reading, reader, verdict
    FROM imaging.review AS review
    JOIN muscle ON coalesce(review.compartment = muscle.compartment AND review.side = muscle.side, review.compartment IS NULL)
    WHERE NOT is_undone AND reading IN ('first', 'second')
    QUALIFY rank() OVER (
        PARTITION BY study, participant_id, visit, model_version, mask_sha256, reading ORDER BY reviewed_at DESC, reader, reading_id
    ) = 1
)
SELECT
    first.study, first.participant_id, first.visit, first.model_version, first.compartment, first.side,
    first.reader AS first_reader, second.reader AS second_reader,
    first.verdict AS first_verdict, second.verdict AS second_verdict
FROM verdict AS first
JOIN verdict AS second USING (study, participant_id, visit, model_version, mask_sha256, compartment, side)
WHERE first.reading = 'first' AND second.reading = 'second' AND first.reader <> second.reader;
COMMENT ON VIEW imaging.review_pair IS 'Review pair. The latest first and the latest second verdict on each muscle; a verdict on the whole case counts for all four.';
