-- The rule that turns verdicts into exclusions: a failed check rejects the case; so does a reader whose latest verdict is reject.
CREATE OR REPLACE VIEW imaging.rejection AS
WITH latest AS (
    SELECT *
    FROM imaging.review
    QUALIFY row_number() OVER (
        PARTITION BY study, participant_id, visit, model_version, compartment, side, reader ORDER BY reviewed_at DESC
    ) = 1
), judged AS (
    SELECT
        study, participant_id, visit, model_version, NULL::VARCHAR AS compartment, NULL::VARCHAR AS side,
        1 AS precedence, 'rejected automatically' AS state, check_name AS reason
    FROM imaging.quality
    WHERE verdict = 'fail'
    UNION ALL
    SELECT
        study, participant_id, visit, model_version, compartment, side,
        2, 'rejected by a reader', coalesce(reason, 'no reason given')
    FROM latest
    WHERE verdict = 'reject'
)
SELECT
    study, participant_id, visit, model_version, compartment, side,
    first(state ORDER BY precedence) AS state,
    first(reason ORDER BY precedence, reason) AS reason
FROM judged
GROUP BY ALL;
COMMENT ON VIEW imaging.rejection IS 'Rejection. Cases (compartment NULL) and single muscles that verdicts exclude; automatic checks come before readers.';
