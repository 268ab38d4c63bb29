-- The mean shares of the 100 bins sum to 100 percent.
SELECT compartment, side, sex, age_band, bmi_group
FROM stats.profile
GROUP BY ALL
HAVING abs(sum(mean_share_pct) - 100) > 0.01;
