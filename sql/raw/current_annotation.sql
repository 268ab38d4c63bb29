-- Where several releases deliver the same thing, the one registered last.
CREATE OR REPLACE VIEW raw.current_annotation AS
SELECT delivered.*
FROM raw.annotation AS delivered
JOIN raw.release AS release USING (release)
QUALIFY release.registration = max(release.registration) OVER (PARTITION BY delivered.study, delivered.participant_id, delivered.visit, delivered.reader, delivered.reading);
COMMENT ON VIEW raw.current_annotation IS 'Annotations in force. Rows of raw.annotation from the release registered last for the participant, visit, reader and reading.';
