-- How do the measures go with age and body size? Pearson's r leads, Spearman's stands beside it (Table 4).
SELECT label, covariate, sex, n, round(r, 2) AS r, round(ci_low, 2) AS ci_low, round(ci_high, 2) AS ci_high, strength, round(spearman, 2) AS spearman, p_holm
FROM stats.correlation
JOIN ref.measure USING (measure)
WHERE sex IS NOT NULL
ORDER BY sex, label, covariate;
