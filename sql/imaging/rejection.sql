-- The rule that turns verdicts into exclusions: a failed check rejects the case unless a consensus reading accepts all of it;
-- so does the reading in force where it rejects. "unsure" excludes nobody: the case waits for a consensus.
CREATE OR REPLACE VIEW imaging.rejection AS
WITH overruled AS (
    SELECT study, participant_id, visit, model_version
    FROM imaging.decisive_review
    WHERE reading = 'consensus'
    GROUP BY ALL
    HAVING bool_and(verdict = 'accept')
), judged AS (
    SELECT
        study, participant_id, visit, model_version, NULL::VARCHAR AS compartment, NULL::VARCHAR AS side,
        1 AS precedence, 'rejected automatically' AS state, check_name AS reason
    FROM imaging.quality
    ANTI JOIN overruled USING (study, participant_id, visit, model_version)
    WHERE verdict = 'fail'
    UNION ALL
    SELECT
        study, participant_id, visit, model_version, compartment, side,
        2, 'rejected by a reader', coalesce(reason, 'no reason given')
    FROM imaging.decisive_review
    WHERE verdict = 'reject'
)
SELECT
    study, participant_id, visit, model_version, compartment, side,
    first(state ORDER BY precedence) AS state,
    first(reason ORDER BY precedence, reason) AS reason
FROM judged
GROUP BY ALL;
COMMENT ON VIEW imaging.rejection IS 'Rejection. Cases (compartment NULL) and single muscles that verdicts exclude; automatic checks come before readers.';
