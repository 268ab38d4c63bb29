-- STROBE: what became of every participant of every imaging or measurement release, in counts that add up.
CREATE TABLE IF NOT EXISTS stats.participant_flow (
    study VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    model_version VARCHAR NOT NULL,
    position INTEGER NOT NULL,
    step VARCHAR NOT NULL,
    reason VARCHAR,
    n INTEGER
);
COMMENT ON TABLE stats.participant_flow IS 'Participant flow. Persons left after each step (reason NULL) and excluded before it (one reason each).';
COMMENT ON COLUMN stats.participant_flow.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN stats.participant_flow.source IS 'Source. measured (on masks) or imported (through measurements.csv).';
COMMENT ON COLUMN stats.participant_flow.model_version IS 'Model. Version of the segmentation model; "imported" where imported.';
COMMENT ON COLUMN stats.participant_flow.position IS 'Position. Order of the steps; exclusions carry the position of the step they lead to. [1]';
COMMENT ON COLUMN stats.participant_flow.step IS 'Step. known, images delivered, images readable, analysed, with BMI.';
COMMENT ON COLUMN stats.participant_flow.reason IS 'Reason. Of the exclusion; NULL on the row that counts who is left.';
COMMENT ON COLUMN stats.participant_flow.n IS 'Persons. Number of distinct participants. [1]';

WITH analysed AS (
    SELECT study, source, model_version, participant_id, bool_or(bmi_kg_m2 IS NOT NULL) AS has_bmi
    FROM marts.muscle_phenotype
    WHERE is_first_visit
    GROUP BY ALL
), refused AS (
    SELECT study, participant_id, arg_max(code, registration) AS code
    FROM raw.intake_issue
    JOIN raw.release USING (release)
    WHERE is_refusal AND has_imaging AND participant_id IS NOT NULL AND path LIKE 'imaging/%'
    GROUP BY ALL
), imaged AS (
    SELECT DISTINCT study, participant_id FROM raw.current_dixon_series
), known_imaging AS (
    SELECT study, participant_id FROM raw.participant JOIN raw.release USING (release, study) WHERE has_imaging
    UNION
    SELECT study, participant_id FROM refused
    UNION
    SELECT study, participant_id FROM imaged
), model AS (
    SELECT DISTINCT study, model_version FROM imaging.segmentation
), failed AS (
    SELECT study, model_version, participant_id, min(code) AS code
    FROM imaging.segmentation
    WHERE status = 'failed'
    GROUP BY ALL
), fate AS (
    SELECT
        known.study, 'measured' AS source, model.model_version, known.participant_id, analysed.has_bmi,
        CASE
            WHEN analysed.participant_id IS NOT NULL THEN NULL
            WHEN imaged.participant_id IS NULL AND refused.code IS NULL THEN 'no images delivered'
            WHEN imaged.participant_id IS NULL THEN refused.code
            ELSE coalesce(failed.code, 'not yet segmented')
        END AS reason,
        CASE
            WHEN analysed.participant_id IS NOT NULL THEN 4
            WHEN imaged.participant_id IS NOT NULL THEN 3
            WHEN refused.code IS NOT NULL THEN 2
            ELSE 1
        END AS reached
    FROM known_imaging AS known
    JOIN model USING (study)
    LEFT JOIN analysed ON (analysed.study, analysed.participant_id, analysed.model_version, analysed.source)
        = (known.study, known.participant_id, model.model_version, 'measured')
    LEFT JOIN imaged ON (imaged.study, imaged.participant_id) = (known.study, known.participant_id)
    LEFT JOIN refused ON (refused.study, refused.participant_id) = (known.study, known.participant_id)
    LEFT JOIN failed ON (failed.study, failed.participant_id, failed.model_version)
        = (known.study, known.participant_id, model.model_version)
    UNION ALL
    SELECT study, source, model_version, participant_id, has_bmi, NULL, 4
    FROM analysed
    WHERE source = 'imported'
), step (position, step) AS (
    VALUES (1, 'known'), (2, 'images delivered'), (3, 'images readable'), (4, 'analysed'), (5, 'with BMI')
), remaining AS (
    SELECT
        study, source, model_version, position, step, NULL::VARCHAR AS reason,
        count(*) FILTER (reached >= position OR (position = 5 AND reached = 4 AND has_bmi)) AS n
    FROM fate CROSS JOIN step
    WHERE source = 'measured' OR position >= 4
    GROUP BY ALL
), excluded AS (
    SELECT study, source, model_version, reached + 1 AS position, step, reason, count(*) AS n
    FROM fate JOIN step ON position = reached + 1
    WHERE reason IS NOT NULL
    GROUP BY ALL
    UNION ALL
    SELECT study, source, model_version, 5, 'with BMI', 'height or weight missing', count(*)
    FROM fate
    WHERE reached = 4 AND NOT has_bmi
    GROUP BY ALL
)
SELECT * FROM remaining
UNION ALL BY NAME
SELECT * FROM excluded
ORDER BY study, source, model_version, position, reason NULLS LAST;
