-- P10, P50 and P90 of the psoas area of women of 54 years, by BMI (norms: smooth in age and BMI).
SELECT
    bmi_kg_m2,
    round(max(value) FILTER (centile = 10), 1) AS p10_cm2,
    round(max(value) FILTER (centile = 50), 1) AS p50_cm2,
    round(max(value) FILTER (centile = 90), 1) AS p90_cm2
FROM norms.centile
WHERE measure = 'csa_psoas_total_cm2' AND sex = 'F' AND age_years = 54 AND bmi_kg_m2 IS NOT NULL
GROUP BY bmi_kg_m2
ORDER BY bmi_kg_m2;
