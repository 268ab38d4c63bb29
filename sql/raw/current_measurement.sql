-- Where several releases deliver the same thing, the one registered last.
CREATE OR REPLACE VIEW raw.current_measurement AS
SELECT delivered.*
FROM raw.measurement AS delivered
JOIN raw.release AS release USING (release)
QUALIFY release.registration = max(release.registration) OVER (PARTITION BY delivered.study, delivered.participant_id, delivered.visit, delivered.measure);
COMMENT ON VIEW raw.current_measurement IS 'Measurements in force. Rows of raw.measurement from the release registered last for the participant, visit and measure.';
