-- Where several releases deliver the same thing, the one registered last.
CREATE OR REPLACE VIEW raw.current_dixon_series AS
SELECT delivered.*
FROM raw.dixon_series AS delivered
JOIN raw.release AS release USING (release)
QUALIFY release.registration = max(release.registration) OVER (PARTITION BY delivered.study, delivered.participant_id, delivered.visit);
COMMENT ON VIEW raw.current_dixon_series IS 'Dixon series in force. Rows of raw.dixon_series from the release registered last for the participant and visit.';
