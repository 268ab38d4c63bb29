-- No case fails because of what depends on its outcome.
SELECT quality.*
FROM imaging.quality AS quality
LEFT JOIN ref.threshold AS threshold USING (check_name)
WHERE verdict = 'fail' AND coalesce(subject, 'outcome') = 'outcome';
