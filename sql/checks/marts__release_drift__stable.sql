-- Where a release and those before it have 50 persons of a sex each, no measure has moved by over half an SD at equal BMI, unless accepted (make accept).
SELECT *
FROM marts.release_drift
WHERE least(n, n_earlier) >= 50 AND abs(shift_sd) > 0.5 AND NOT is_accepted;
