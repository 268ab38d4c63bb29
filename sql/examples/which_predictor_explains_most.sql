-- Which of age, height and weight explains most? Standardised estimates compare across units.
SELECT measure, sex, term, round(standardised, 2) AS standardised, round(100 * partial_r_squared, 1) AS partial_r_squared_pct
FROM stats.regression
WHERE model = 'age_height_weight' AND term <> 'Intercept' AND sex IS NOT NULL
ORDER BY measure, sex, partial_r_squared DESC;
