-- What intake refused, and why (research file).
SELECT release, code, count(*) AS n, any_value(message) AS message
FROM raw.intake_issue
WHERE is_refusal
GROUP BY release, code
ORDER BY release, n DESC;
