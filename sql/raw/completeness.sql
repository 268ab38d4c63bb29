-- Expected against delivered, both ways, over all releases of a study as they stand now.
CREATE TABLE IF NOT EXISTS raw.completeness (
    study VARCHAR NOT NULL,
    participant_id VARCHAR NOT NULL,
    visit VARCHAR NOT NULL,
    code VARCHAR NOT NULL CHECK (code IN ('no_images', 'no_participant_row', 'same_images')),
    message VARCHAR NOT NULL
);
COMMENT ON TABLE raw.completeness IS 'Completeness. Participants without images (in studies that have images; persons with imported values need none), images without a participant, and one image under two participants.';
COMMENT ON COLUMN raw.completeness.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN raw.completeness.participant_id IS 'Participant. Pseudonym as delivered.';
COMMENT ON COLUMN raw.completeness.visit IS 'Visit. Verbatim text; NAKO: 30 = baseline, 60 = follow-up.';
COMMENT ON COLUMN raw.completeness.code IS 'Code. no_images, no_participant_row or same_images.';
COMMENT ON COLUMN raw.completeness.message IS 'Message. What is wrong, and what to do.';

WITH image AS (
    SELECT DISTINCT study, participant_id, visit FROM raw.current_dixon_series
), shared_image AS (
    SELECT study, image_sha256
    FROM raw.current_dixon_series
    GROUP BY ALL
    HAVING count(DISTINCT participant_id) > 1
), found AS (
    SELECT study, participant_id, visit, 'no_images' AS code
    FROM raw.current_participant AS participant
    ANTI JOIN image USING (study, participant_id, visit)
    ANTI JOIN raw.current_measurement AS imported USING (study, participant_id, visit)
    WHERE study IN (SELECT study FROM image)
    UNION ALL
    SELECT study, participant_id, visit, 'no_participant_row'
    FROM image
    ANTI JOIN raw.current_participant AS participant USING (study, participant_id, visit)
    UNION ALL
    SELECT DISTINCT study, participant_id, visit, 'same_images'
    FROM raw.current_dixon_series
    SEMI JOIN shared_image USING (study, image_sha256)
)
SELECT
    *,
    CASE code
        WHEN 'no_images' THEN 'The participant''s visit has a row in the table but no images: deliver them, or confirm their absence.'
        WHEN 'no_participant_row' THEN 'The images have no row of their participant and visit in the table: check id and visit.'
        ELSE 'The images are identical to those of another participant id: check which of them they belong to.'
    END AS message
FROM found;
