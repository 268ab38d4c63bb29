-- Images that were acquired otherwise than the study's protocol says.
CREATE TABLE IF NOT EXISTS raw.protocol_deviation (
    study VARCHAR NOT NULL,
    participant_id VARCHAR NOT NULL,
    visit VARCHAR NOT NULL,
    contrast VARCHAR NOT NULL,
    parameter VARCHAR NOT NULL,
    value DOUBLE NOT NULL,
    expected DOUBLE NOT NULL
);
COMMENT ON TABLE raw.protocol_deviation IS 'Protocol deviation. One row per image and parameter outside the tolerance of ref.protocol; what a header does not state is no deviation.';
COMMENT ON COLUMN raw.protocol_deviation.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN raw.protocol_deviation.participant_id IS 'Participant. Pseudonym as delivered.';
COMMENT ON COLUMN raw.protocol_deviation.visit IS 'Visit. Verbatim text; NAKO: 30 = baseline, 60 = follow-up.';
COMMENT ON COLUMN raw.protocol_deviation.contrast IS 'Contrast. in = in-phase, opp = opposed-phase, fat, water.';
COMMENT ON COLUMN raw.protocol_deviation.parameter IS 'Parameter. In ref.protocol.';
COMMENT ON COLUMN raw.protocol_deviation.value IS 'Value. Acquired, in the unit of the parameter.';
COMMENT ON COLUMN raw.protocol_deviation.expected IS 'Expected value. In the unit of the parameter.';

WITH acquired AS (
    UNPIVOT (
        SELECT
            study, participant_id, visit, contrast, echo_time_ms, repetition_time_ms, flip_angle_deg, field_strength_t,
            spacing[1] AS spacing_x_mm, spacing[2] AS spacing_y_mm, spacing[3] AS spacing_z_mm
        FROM raw.current_dixon_series
    )
    ON echo_time_ms, repetition_time_ms, flip_angle_deg, field_strength_t, spacing_x_mm, spacing_y_mm, spacing_z_mm
    INTO NAME parameter VALUE value
)
SELECT study, participant_id, visit, acquired.contrast, parameter, value, expected
FROM acquired
JOIN ref.protocol AS protocol USING (parameter)
WHERE coalesce(protocol.contrast, acquired.contrast) = acquired.contrast AND abs(value - expected) > tolerance;
