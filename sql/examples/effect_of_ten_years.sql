-- What do ten years of age cost at equal BMI, in the unit of the measure, with 95 % interval?
SELECT label, sex, n, round(10 * estimate, 3) AS per_decade, round(10 * ci_low, 3) AS ci_low, round(10 * ci_high, 3) AS ci_high, registry.unit, p_holm
FROM stats.regression
JOIN ref.measure AS registry USING (measure)
WHERE model = 'age_bmi' AND term = 'age_years' AND sex IS NOT NULL
ORDER BY label, sex;
