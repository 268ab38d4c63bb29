-- The volume is the sum of the profile's areas times the slice thickness, the largest area is the profile's.
WITH profile AS (
    SELECT study, participant_id, visit, model_version, compartment, side, sum(csa_cm2) AS area_cm2, max(csa_cm2) AS max_csa_cm2
    FROM imaging.csa_profile
    GROUP BY ALL
)
SELECT muscle.*
FROM imaging.muscle AS muscle
JOIN profile USING (study, participant_id, visit, model_version, compartment, side)
WHERE abs(muscle.volume_ml - profile.area_cm2 * muscle.slice_thickness_mm / 10) > 1e-4 * muscle.volume_ml
    OR abs(muscle.max_csa_cm2 - profile.max_csa_cm2) > 1e-4 * muscle.max_csa_cm2;
