-- Mean, SD and 95 % interval of every measure by BMI class and sex (Figure 6); ref.band gives the order of the classes.
SELECT label, unit, sex, bmi_band, n, mean, sd, ci_low, ci_high, suppression
FROM stats.descriptive
JOIN ref.measure AS registry USING (measure)
JOIN ref.band AS class ON class.kind = 'bmi' AND class.band = bmi_band
WHERE registry.kind = 'muscle' AND sex IS NOT NULL AND age_band IS NULL
ORDER BY label, sex, position;
