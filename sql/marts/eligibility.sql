-- Who of the participants with images was excluded, and who they are: behind stats.exclusion.
CREATE OR REPLACE VIEW marts.eligibility AS
WITH person AS (
    SELECT
        study, participant_id, model_version, max(precedence) AS precedence,
        arg_max(visit, precedence) AS visit,
        arg_max(coalesce(reason, state), precedence) AS reason
    FROM marts.participant_state
    WHERE source = 'measured' AND precedence NOT IN (2, 5) AND model_version <> 'none'
    GROUP BY ALL
), covariates AS (
    SELECT DISTINCT ON (study, participant_id)
        study, participant_id, sex, age_years, bmi_kg_m2, centre, release
    FROM raw.current_participant
    ORDER BY study, participant_id, age_years NULLS LAST, visit
)
SELECT
    study || ' / measured / ' || model_version AS analysis_set, participant_id,
    precedence < 8 AS is_excluded, if(precedence < 8, reason, NULL) AS reason,
    sex, age_years, bmi_kg_m2, centre, release,
    (SELECT band FROM ref.band WHERE kind = 'age' AND age_years >= lower AND age_years < upper) AS age_band,
    (SELECT band FROM ref.band WHERE kind = 'bmi' AND bmi_kg_m2 >= lower AND bmi_kg_m2 < upper) AS bmi_band
FROM person
LEFT JOIN covariates USING (study, participant_id);
COMMENT ON VIEW marts.eligibility IS 'Eligibility. Persons with images, per model: excluded at intake, in segmentation, by a check or a reader, or not; with their covariates.';
