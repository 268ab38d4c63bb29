-- Who is left after a step is who was left before it, less who was excluded in between.
WITH step AS (
    SELECT
        study, source, model_version, position,
        sum(n) FILTER (reason IS NULL) AS n_left,
        coalesce(sum(n) FILTER (reason IS NOT NULL), 0) AS n_excluded
    FROM stats.participant_flow
    GROUP BY ALL
)
SELECT *
FROM (
    SELECT *, lag(n_left) OVER (PARTITION BY study, source, model_version ORDER BY position) AS n_before
    FROM step
)
WHERE n_before IS NOT NULL AND n_before - n_excluded <> n_left;
