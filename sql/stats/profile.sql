-- Spatial distribution of the muscles along the cranio-caudal axis: the study's Figure 7.
CREATE TABLE IF NOT EXISTS stats.profile (
    analysis_set VARCHAR NOT NULL,
    compartment VARCHAR NOT NULL,
    side VARCHAR NOT NULL,
    sex VARCHAR,
    age_band VARCHAR,
    bmi_group VARCHAR,
    bin INTEGER NOT NULL,
    n INTEGER,
    mean_share_pct DOUBLE,
    sd_share_pct DOUBLE
);
COMMENT ON TABLE stats.profile IS 'Spatial distribution. Share of the compartment''s total area in each of 100 equal bins from the cranial to the caudal end; a person''s shares sum to 100.';
COMMENT ON COLUMN stats.profile.analysis_set IS 'Analysis set. In ref.analysis_set.';
COMMENT ON COLUMN stats.profile.compartment IS 'Compartment. psoas or gluteus.';
COMMENT ON COLUMN stats.profile.side IS 'Side. left or right of the participant, by world coordinates.';
COMMENT ON COLUMN stats.profile.sex IS 'Sex. F or M; NULL = pooled.';
COMMENT ON COLUMN stats.profile.age_band IS 'Age band. In ref.band; NULL = all ages.';
COMMENT ON COLUMN stats.profile.bmi_group IS 'BMI group. <=25 or >25; NULL = all, persons without BMI included.';
COMMENT ON COLUMN stats.profile.bin IS 'Bin. 0 = cranial, 99 = caudal. [1]';
COMMENT ON COLUMN stats.profile.n IS 'Persons. Number behind the row. [1]';
COMMENT ON COLUMN stats.profile.mean_share_pct IS 'Mean share. Of the total area, f_b = 100 sum_i A_i w_ib / sum_i A_i, w_ib the fraction of slice i inside bin b. [%]';
COMMENT ON COLUMN stats.profile.sd_share_pct IS 'SD of the share. Between persons. [%]';

WITH person AS (
    SELECT
        analysis_set, study, participant_id, visit, model_version, sex, age_band,
        (SELECT band FROM ref.band WHERE kind = 'bmi_group' AND bmi_kg_m2 > lower AND bmi_kg_m2 <= upper) AS bmi_group
    FROM marts.muscle_phenotype
    JOIN ref.analysis_set USING (study, source, model_version)
    WHERE is_first_visit AND sex IS NOT NULL AND age_band IS NOT NULL
), area AS (
    SELECT
        study, participant_id, visit, model_version, compartment, side, slice_index::DOUBLE AS slice_index,
        count(*) OVER muscle AS n_slices,
        100 * csa_cm2 / sum(csa_cm2) OVER muscle AS share_pct
    FROM imaging.csa_profile
    SEMI JOIN person USING (study, participant_id, visit, model_version)
    WINDOW muscle AS (PARTITION BY study, participant_id, visit, model_version, compartment, side)
), bin_share AS (
    SELECT
        study, participant_id, visit, model_version, compartment, side,
        unnest(range(floor(100 * slice_index / n_slices)::BIGINT, ceil(100 * (slice_index + 1) / n_slices)::BIGINT)) AS bin,
        slice_index, n_slices, share_pct
    FROM area
), distribution AS (
    SELECT
        study, participant_id, visit, model_version, compartment, side, bin,
        sum(share_pct * greatest(0,
            least(bin + 1, 100 * (slice_index + 1) / n_slices) - greatest(bin, 100 * slice_index / n_slices)
        ) * n_slices / 100) AS share_pct
    FROM bin_share
    GROUP BY ALL
)
SELECT
    analysis_set, compartment, side, sex, age_band, bmi_group, bin,
    count(*) AS n, avg(share_pct) AS mean_share_pct, stddev_samp(share_pct) AS sd_share_pct
FROM distribution
JOIN person USING (study, participant_id, visit, model_version)
GROUP BY analysis_set, compartment, side, bin, CUBE (sex, age_band, bmi_group)
HAVING (grouping(sex) = 1 OR sex IS NOT NULL)
    AND (grouping(age_band) = 1 OR age_band IS NOT NULL)
    AND (grouping(bmi_group) = 1 OR bmi_group IS NOT NULL);
