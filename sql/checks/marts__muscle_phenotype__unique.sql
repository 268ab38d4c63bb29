-- One row per study, participant, visit, source and model.
SELECT study, participant_id, visit, source, model_version
FROM marts.muscle_phenotype
GROUP BY ALL
HAVING count(*) > 1;
