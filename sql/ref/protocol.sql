-- The study's acquisition protocol; deviations are recorded in raw.protocol_deviation, never refused.
CREATE TABLE IF NOT EXISTS ref.protocol (
    parameter VARCHAR NOT NULL,
    contrast VARCHAR,
    expected DOUBLE NOT NULL,
    tolerance DOUBLE NOT NULL,
    unit VARCHAR NOT NULL
);
COMMENT ON TABLE ref.protocol IS 'Protocol. Acquisition of the study (Kiefer et al. 2026, section 2.2): T1-weighted 3D VIBE two-point Dixon at 3 T.';
COMMENT ON COLUMN ref.protocol.parameter IS 'Parameter. Its name.';
COMMENT ON COLUMN ref.protocol.contrast IS 'Contrast. To which the value applies; NULL = all.';
COMMENT ON COLUMN ref.protocol.expected IS 'Expected value. In the unit of the parameter.';
COMMENT ON COLUMN ref.protocol.tolerance IS 'Tolerance. Largest difference that is no deviation, in the unit of the parameter.';
COMMENT ON COLUMN ref.protocol.unit IS 'Unit. Of the parameter.';

-- Scanners of 3 T write 2.89 to 3; NAKO's pixels have 1.40625 mm.
SELECT *
FROM (VALUES
    ('echo_time_ms', 'in', 2.46, 0.05, 'ms'),
    ('echo_time_ms', 'opp', 1.23, 0.05, 'ms'),
    ('repetition_time_ms', NULL, 4.36, 0.1, 'ms'),
    ('flip_angle_deg', NULL, 9, 0.5, 'deg'),
    ('field_strength_t', NULL, 3, 0.2, 'T'),
    ('spacing_x_mm', NULL, 1.4, 0.02, 'mm'),
    ('spacing_y_mm', NULL, 1.4, 0.02, 'mm'),
    ('spacing_z_mm', NULL, 3, 0.05, 'mm')
) AS protocol (parameter, contrast, expected, tolerance, unit);
