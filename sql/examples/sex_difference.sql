-- By how many percent do women lie below men? (study: psoas 35.5 %, gluteus 29.3 %)
SELECT label, n, round(lower_in_women_pct, 1) AS lower_in_women_pct, round(ci_low_pct, 1) AS ci_low_pct, round(ci_high_pct, 1) AS ci_high_pct
FROM stats.sex_difference
JOIN ref.measure USING (measure)
WHERE age_band IS NULL AND bmi_band IS NULL
ORDER BY label;
