-- Centiles never cross.
SELECT *
FROM (
    SELECT *, lag(value) OVER (PARTITION BY measure, sex, age_years, bmi_kg_m2 ORDER BY centile) AS below
    FROM norms.centile
)
WHERE value <= below;
