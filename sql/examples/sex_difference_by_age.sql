-- Does the difference between the sexes change with age?
SELECT age_band, round(lower_in_women_pct, 1) AS lower_in_women_pct, round(ci_low_pct, 1) AS ci_low_pct, round(ci_high_pct, 1) AS ci_high_pct
FROM stats.sex_difference
WHERE measure = 'csa_psoas_total_cm2' AND age_band IS NOT NULL AND bmi_band IS NULL
ORDER BY age_band;
