-- Mean, SD and 95 % interval of every measure by age band and sex (Figure 5).
SELECT label, unit, sex, age_band, n, mean, sd, ci_low, ci_high, suppression
FROM stats.descriptive
JOIN ref.measure USING (measure)
WHERE kind = 'muscle' AND sex IS NOT NULL AND age_band IS NOT NULL AND bmi_band IS NULL
ORDER BY label, sex, age_band;
