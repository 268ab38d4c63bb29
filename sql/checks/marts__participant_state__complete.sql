-- Every participant and visit of every release has exactly one state in each source and model.
WITH delivered AS (
    SELECT study, participant_id, visit FROM raw.participant
    UNION
    SELECT study, participant_id, visit FROM raw.measurement
    UNION
    SELECT study, participant_id, visit FROM raw.dixon_series
    UNION
    SELECT study, participant_id, visit
    FROM raw.intake_issue JOIN raw.release USING (release)
    WHERE is_refusal AND participant_id IS NOT NULL AND path LIKE 'imaging/%' AND visit IS NOT NULL
)
SELECT study, participant_id, visit
FROM delivered
ANTI JOIN marts.participant_state USING (study, participant_id, visit)
WHERE study IN (
    SELECT study FROM raw.measurement UNION ALL SELECT study FROM raw.dixon_series UNION ALL SELECT study FROM raw.release WHERE has_imaging
)
UNION ALL
SELECT study, participant_id, visit
FROM marts.participant_state
GROUP BY study, participant_id, visit, source, model_version
HAVING count(*) > 1;
