-- What became of every participant and visit of every release: one state each, by a fixed order of precedence.
CREATE TABLE IF NOT EXISTS marts.participant_state (
    study VARCHAR NOT NULL,
    participant_id VARCHAR NOT NULL,
    visit VARCHAR,
    source VARCHAR NOT NULL,
    model_version VARCHAR NOT NULL,
    precedence INTEGER NOT NULL,
    state VARCHAR NOT NULL,
    reason VARCHAR
);
COMMENT ON TABLE marts.participant_state IS 'Participant state. One row per participant, visit, source and model; withdrawn persons leave only a tombstone in raw.withdrawal.';
COMMENT ON COLUMN marts.participant_state.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN marts.participant_state.participant_id IS 'Participant. Pseudonym as delivered.';
COMMENT ON COLUMN marts.participant_state.visit IS 'Visit. Verbatim text; NULL where a refused delivery does not tell.';
COMMENT ON COLUMN marts.participant_state.source IS 'Source. measured (on masks) or imported (through measurements.csv).';
COMMENT ON COLUMN marts.participant_state.model_version IS 'Model. Version of the segmentation model; "imported" where imported, "none" before any segmentation.';
COMMENT ON COLUMN marts.participant_state.precedence IS 'Precedence. Of the state: the first that applies is the state. [1]';
COMMENT ON COLUMN marts.participant_state.state IS 'State. 2 no data delivered, 3 refused at intake, 4 segmentation failed, 5 not yet segmented or measured, 6 rejected automatically, 7 rejected by a reader, 8 analysed without BMI, 9 analysed with BMI.';
COMMENT ON COLUMN marts.participant_state.reason IS 'Reason. Code of the refusal or failure, name of the check, or reason of the reader.';

WITH imaged AS (
    SELECT DISTINCT study, participant_id, visit FROM raw.current_dixon_series
), imported AS (
    SELECT DISTINCT study, participant_id, visit FROM raw.current_measurement
), covered AS (
    SELECT DISTINCT study, participant_id, visit FROM raw.participant
), refusal AS (
    SELECT study, participant_id, visit, code, registration
    FROM raw.intake_issue
    JOIN raw.release USING (release)
    WHERE is_refusal AND participant_id IS NOT NULL AND path LIKE 'imaging/%'
), refused AS (
    -- A file name may lack the visit: its refusal then belongs to the visits of the person that have no images.
    SELECT
        refusal.study, refusal.participant_id, coalesce(refusal.visit, covered.visit) AS visit,
        arg_max(code, registration) AS code
    FROM refusal
    LEFT JOIN covered
        ON refusal.visit IS NULL AND (covered.study, covered.participant_id) = (refusal.study, refusal.participant_id)
    GROUP BY ALL
), imaging_study AS (
    SELECT study FROM imaged UNION SELECT study FROM refused UNION SELECT study FROM raw.release WHERE has_imaging
), known AS (
    SELECT study, participant_id, visit, 'measured' AS source
    FROM covered
    SEMI JOIN imaging_study USING (study)
    ANTI JOIN imported USING (study, participant_id, visit)
    UNION
    SELECT study, participant_id, visit, 'measured' FROM imaged
    UNION
    SELECT study, participant_id, visit, 'measured' FROM refused
    UNION
    SELECT study, participant_id, visit, 'imported'
    FROM covered
    SEMI JOIN imported USING (study)
    ANTI JOIN imaging_study USING (study)
    UNION
    SELECT study, participant_id, visit, 'imported' FROM imported
), model AS (
    -- Masks corrected by hand are no set of the cohort.
    SELECT DISTINCT study, 'measured' AS source, model_version FROM imaging.segmentation WHERE NOT suffix(model_version, '+corrected')
    UNION ALL
    SELECT DISTINCT study, 'imported', 'imported' FROM known WHERE source = 'imported'
), rejected AS (
    SELECT study, participant_id, visit, model_version, state, reason
    FROM imaging.rejection
    WHERE compartment IS NULL AND side IS NULL
), fate AS (
    SELECT
        known.study, known.participant_id, known.visit, known.source,
        coalesce(model.model_version, 'none') AS model_version,
        CASE
            WHEN analysed.participant_id IS NOT NULL THEN if(analysed.bmi_kg_m2 IS NULL, 8, 9)
            WHEN imaged.participant_id IS NULL AND refused.code IS NULL THEN 2
            WHEN imaged.participant_id IS NULL THEN 3
            WHEN ledger.status = 'failed' THEN 4
            WHEN rejected.state = 'rejected automatically' THEN 6
            WHEN rejected.state IS NOT NULL OR muscle.participant_id IS NOT NULL THEN 7
            ELSE 5
        END AS precedence,
        CASE precedence
            WHEN 3 THEN refused.code
            WHEN 4 THEN ledger.code
            WHEN 6 THEN rejected.reason
            WHEN 7 THEN coalesce(rejected.reason, 'every muscle rejected')
        END AS reason
    FROM known
    LEFT JOIN model ON (model.study, model.source) = (known.study, known.source)
    LEFT JOIN marts.muscle_phenotype AS analysed
        ON (analysed.study, analysed.participant_id, analysed.visit, analysed.source, analysed.model_version)
            = (known.study, known.participant_id, known.visit, known.source, model.model_version)
    LEFT JOIN imaged ON (imaged.study, imaged.participant_id, imaged.visit) = (known.study, known.participant_id, known.visit)
    LEFT JOIN refused
        ON (refused.study, refused.participant_id) = (known.study, known.participant_id)
        AND refused.visit IS NOT DISTINCT FROM known.visit AND known.source = 'measured'
    LEFT JOIN imaging.segmentation AS ledger
        ON (ledger.study, ledger.participant_id, ledger.visit, ledger.model_version)
            = (known.study, known.participant_id, known.visit, model.model_version)
    LEFT JOIN rejected
        ON (rejected.study, rejected.participant_id, rejected.visit, rejected.model_version)
            = (known.study, known.participant_id, known.visit, model.model_version)
    LEFT JOIN (SELECT DISTINCT study, participant_id, visit, model_version FROM imaging.muscle) AS muscle
        ON (muscle.study, muscle.participant_id, muscle.visit, muscle.model_version)
            = (known.study, known.participant_id, known.visit, model.model_version)
)
SELECT
    *,
    CASE precedence
        WHEN 2 THEN 'no data delivered'
        WHEN 3 THEN 'refused at intake'
        WHEN 4 THEN 'segmentation failed'
        WHEN 5 THEN 'not yet segmented or measured'
        WHEN 6 THEN 'rejected automatically'
        WHEN 7 THEN 'rejected by a reader'
        WHEN 8 THEN 'analysed without BMI'
        ELSE 'analysed with BMI'
    END AS state
FROM fate;
