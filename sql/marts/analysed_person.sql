-- Whom everything cross-sectional is about: persons of the pinned analysis set at their first analysed visit.
CREATE OR REPLACE VIEW marts.analysed_person AS
SELECT
    analysis_set, person.*,
    (SELECT band FROM ref.band WHERE kind = 'bmi_group' AND bmi_kg_m2 > lower AND bmi_kg_m2 <= upper) AS bmi_group
FROM marts.muscle_phenotype AS person
JOIN ref.analysis_set USING (study, source, model_version)
WHERE is_first_visit;
COMMENT ON VIEW marts.analysed_person IS 'Analysed person. One row per person of the analysis set, at the first analysed visit.';
