-- Which z-score has a psoas area of 22.5 cm2 in a woman of 54 years with BMI 27? 0 is the median, -1.28 the 10th percentile.
SELECT round(((22.5 / m) ** l - 1) / (l * s), 2) AS z, round(m, 2) AS median_cm2
FROM norms.lms
WHERE measure = 'csa_psoas_total_cm2' AND sex = 'F' AND age_years = 54 AND bmi_kg_m2 = 27;
