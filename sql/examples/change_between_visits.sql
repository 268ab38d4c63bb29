-- Whose muscle changed more than measurement error between two visits (research file)?
SELECT measure, sex, count(*) AS n, round(median(change_per_year_pct), 2) AS median_change_per_year_pct, count(*) FILTER (is_detectable) AS n_detectable
FROM marts.muscle_change
GROUP BY measure, sex
ORDER BY measure, sex;
