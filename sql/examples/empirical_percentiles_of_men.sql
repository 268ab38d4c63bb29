-- Empirical P10, P50 and P90 of men by age band, with distribution-free limits; no model is behind them.
SELECT label, age_band, n, p10, p10_low, p10_high, p50, p50_low, p50_high, p90, p90_low, p90_high
FROM stats.band_percentile
JOIN ref.measure USING (measure)
WHERE sex = 'M' AND bmi_band IS NULL AND age_band IS NOT NULL
ORDER BY label, age_band;
