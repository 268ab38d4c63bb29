-- Where do rank and linear correlation differ by more than 0.05? There the relation is not a straight line, or has outliers.
SELECT measure, covariate, sex, round(r, 3) AS r, round(spearman, 3) AS spearman
FROM stats.correlation
WHERE abs(r - spearman) > 0.05
ORDER BY abs(r - spearman) DESC;
