-- STROBE: what became of every participant, in counts that add up. Who has several visits counts where the furthest came.
CREATE TABLE IF NOT EXISTS stats.participant_flow (
    study VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    model_version VARCHAR NOT NULL,
    position INTEGER NOT NULL,
    step VARCHAR NOT NULL,
    reason VARCHAR,
    n INTEGER,
    code_version VARCHAR DEFAULT getvariable('code_version'),
    suppression VARCHAR
);
COMMENT ON TABLE stats.participant_flow IS 'Participant flow. Persons left after each step (reason NULL) and excluded before it (one reason each).';
COMMENT ON COLUMN stats.participant_flow.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN stats.participant_flow.source IS 'Source. measured (on masks) or imported (through measurements.csv).';
COMMENT ON COLUMN stats.participant_flow.model_version IS 'Model. Version of the segmentation model; "imported" where imported, "none" before any segmentation.';
COMMENT ON COLUMN stats.participant_flow.position IS 'Position. Order of the steps, and of the reasons; exclusions carry the position of the step they lead to. [1]';
COMMENT ON COLUMN stats.participant_flow.step IS 'Step. known, not withdrawn, images delivered, images readable, segmented, analysed, with BMI.';
COMMENT ON COLUMN stats.participant_flow.reason IS 'Reason. Of the exclusion; NULL on the row that counts who is left.';
COMMENT ON COLUMN stats.participant_flow.n IS 'Persons. Number of distinct participants. [1]';
COMMENT ON COLUMN stats.participant_flow.code_version IS 'Code version. Hash of the code and SQL that computed the row.';
COMMENT ON COLUMN stats.participant_flow.suppression IS 'Suppression. Why the published row is empty or older; NULL where it is shown, and in the research file.';

WITH step (position, step, is_of_images) AS (
    VALUES
        (1, 'known', false), (2, 'not withdrawn', false), (3, 'images delivered', true), (4, 'images readable', true),
        (5, 'segmented', true), (6, 'analysed', false), (7, 'with BMI', false)
), exit (precedence, position) AS (
    VALUES (1, 2), (2, 3), (3, 4), (4, 5), (5, 5), (6, 6), (7, 6), (8, 7), (9, 8)
), analysed AS (
    SELECT study, participant_id, source, model_version, if(bmi_kg_m2 IS NULL, 8, 9) AS precedence
    FROM marts.muscle_phenotype
    WHERE is_first_visit
), furthest AS (
    SELECT
        study, source, model_version, participant_id, max(precedence) AS precedence,
        first(state ORDER BY precedence DESC) AS state,
        first(reason ORDER BY precedence DESC, reason) AS reason
    FROM marts.participant_state
    GROUP BY ALL
), person AS (
    -- Who is analysed counts as at the first analysed visit, as in every other statistic.
    SELECT
        study, source, model_version,
        coalesce(analysed.precedence, furthest.precedence) AS precedence,
        CASE coalesce(analysed.precedence, furthest.precedence)
            WHEN 2 THEN if(source = 'measured', 'no images delivered', 'no values delivered')
            WHEN 3 THEN reason
            WHEN 4 THEN reason
            WHEN 8 THEN 'height or weight missing'
            WHEN 9 THEN NULL
            ELSE state
        END AS reason
    FROM furthest
    LEFT JOIN analysed USING (study, source, model_version, participant_id)
), fate AS (
    SELECT
        study, source, model_version, if(source = 'imported' AND position = 3, 6, position) AS exit, reason, count(*) AS n
    FROM person JOIN exit USING (precedence)
    GROUP BY ALL
    UNION ALL
    SELECT study, source, model_version, 2, 'withdrawn', count(DISTINCT participant_hmac)
    FROM raw.withdrawal
    JOIN (SELECT DISTINCT study, source, model_version FROM marts.participant_state) USING (study, source)
    GROUP BY ALL
)
SELECT study, source, model_version, position, step, NULL AS reason, coalesce(sum(n) FILTER (exit > position), 0) AS n
FROM fate CROSS JOIN step
WHERE source = 'measured' OR NOT is_of_images
GROUP BY ALL
UNION ALL BY NAME
SELECT study, source, model_version, position, step, reason, n
FROM fate JOIN step ON position = exit
ORDER BY study, source, model_version, position, reason NULLS LAST;
