-- How much higher or lower than at 50 is the mean at 20, 30, 40, 60 and 70 years?
SELECT measure, sex, term, round(estimate, 3) AS difference, round(ci_low, 3) AS ci_low, round(ci_high, 3) AS ci_high, unit
FROM stats.regression
WHERE model = 'spline_age' AND term LIKE 'age_years: %' AND sex IS NOT NULL
ORDER BY measure, sex, term;
