-- One row per case, compartment, side and slice.
SELECT study, participant_id, visit, model_version, compartment, side, slice_index
FROM imaging.csa_profile
GROUP BY ALL
HAVING count(*) > 1;
