-- R2 and the residuals of every model: skewness far from 0 or a small Breusch-Pagan p is why errors are HC3.
SELECT label, measure, sex, n, round(adjusted_r_squared, 3) AS adjusted_r_squared, round(residual_sd, 3) AS residual_sd, round(residual_skewness, 2) AS skewness, breusch_pagan_p
FROM stats.regression_fit
JOIN ref.regression_model USING (model)
ORDER BY measure, label, sex NULLS FIRST;
