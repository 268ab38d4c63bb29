-- Who is missing, and why? STROBE counts of the analysis set; excluded persons have a reason.
SELECT step, coalesce(reason, 'left') AS reason, n, suppression
FROM stats.participant_flow
JOIN ref.analysis_set USING (study, source, model_version)
ORDER BY position, reason = 'left', reason;
