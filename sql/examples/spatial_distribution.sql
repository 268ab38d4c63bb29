-- Where along its length has the left psoas its area, by age band (Figure 7)? Shares of tenths of the length.
SELECT sex, age_band, 10 * (bin // 10) AS from_pct, round(sum(mean_share_pct), 2) AS share_pct
FROM stats.profile
WHERE compartment = 'psoas' AND side = 'left' AND sex IS NOT NULL AND age_band IS NOT NULL AND bmi_group IS NULL
GROUP BY sex, age_band, bin // 10
ORDER BY sex, age_band, from_pct;
