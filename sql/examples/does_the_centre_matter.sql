-- Do study centres differ once age and BMI are equal, and how much variance is that?
SELECT measure, sex, n, df + 1 AS centres, round(f, 2) AS f, p_holm, round(100 * partial_r_squared, 2) AS variance_pct
FROM stats.regression_test
WHERE test = 'centre' AND model = 'age_bmi_centre'
ORDER BY measure, sex NULLS FIRST;
