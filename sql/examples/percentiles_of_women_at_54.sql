-- P10, P50 and P90 of the psoas area of women of 54 years, by BMI.
PIVOT (
    SELECT bmi_kg_m2, 'P' || centile AS centile, round(value, 1) AS value
    FROM norms.centile
    WHERE measure = 'csa_psoas_total_cm2' AND sex = 'F' AND age_years = 54 AND centile IN (10, 50, 90) AND bmi_kg_m2 IS NOT NULL
)
ON centile IN ('P10', 'P50', 'P90') USING any_value(value)
ORDER BY bmi_kg_m2;
