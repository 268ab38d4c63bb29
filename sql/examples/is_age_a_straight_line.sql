-- Is a straight line in age enough? The gluteus peaks at 40-49: its r with age is near 0, the test of the curve is not.
SELECT test.measure, test.sex, round(r, 3) AS r_with_age, test.p_holm AS p_not_straight
FROM stats.regression_test AS test
JOIN stats.correlation AS correlation
    ON correlation.measure = test.measure AND correlation.sex = test.sex AND covariate = 'age_years'
WHERE test.model = 'spline_age' AND test.test = 'age_years: nonlinear'
ORDER BY test.measure, test.sex;
