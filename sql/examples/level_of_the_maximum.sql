-- Does the thickest level of the psoas move down with age and with BMI above 25?
SELECT side, sex, age_band, bmi_group, n, round(mean_level_pct, 1) AS mean_level_pct, round(sd_level_pct, 1) AS sd_level_pct
FROM stats.profile_maximum
WHERE compartment = 'psoas' AND sex IS NOT NULL AND (age_band IS NULL) <> (bmi_group IS NULL)
ORDER BY side, sex, age_band NULLS LAST, bmi_group;
