-- At which level the muscles are thickest, by group: the numbers beside the study's Figure 7.
CREATE TABLE IF NOT EXISTS stats.profile_maximum (
    analysis_set VARCHAR NOT NULL,
    compartment VARCHAR NOT NULL,
    side VARCHAR NOT NULL,
    sex VARCHAR,
    age_band VARCHAR,
    bmi_group VARCHAR,
    n INTEGER,
    mean_level_pct DOUBLE,
    sd_level_pct DOUBLE,
    mean_level_mm DOUBLE,
    sd_level_mm DOUBLE,
    weighting VARCHAR DEFAULT 'unweighted',
    code_version VARCHAR DEFAULT getvariable('code_version'),
    suppression VARCHAR
);
COMMENT ON TABLE stats.profile_maximum IS 'Level of the maximum. Mean over persons of the level of the largest area of the profile smoothed over about 15 mm, ties to the cranial one.';
COMMENT ON COLUMN stats.profile_maximum.analysis_set IS 'Analysis set. In ref.analysis_set.';
COMMENT ON COLUMN stats.profile_maximum.compartment IS 'Compartment. psoas or gluteus.';
COMMENT ON COLUMN stats.profile_maximum.side IS 'Side. left or right of the participant, by world coordinates.';
COMMENT ON COLUMN stats.profile_maximum.sex IS 'Sex. F or M; NULL = pooled.';
COMMENT ON COLUMN stats.profile_maximum.age_band IS 'Age band. In ref.band; NULL = all ages.';
COMMENT ON COLUMN stats.profile_maximum.bmi_group IS 'BMI group. <=25 or >25; NULL = all, persons without BMI included.';
COMMENT ON COLUMN stats.profile_maximum.n IS 'Persons. Number behind the row. [1]';
COMMENT ON COLUMN stats.profile_maximum.mean_level_pct IS 'Mean level. From the cranial end of the compartment and side. [%]';
COMMENT ON COLUMN stats.profile_maximum.sd_level_pct IS 'SD of the level. Between persons. [%]';
COMMENT ON COLUMN stats.profile_maximum.mean_level_mm IS 'Mean level, absolute. Below the cranial end of the gluteus of the same side, over persons who have one. [mm]';
COMMENT ON COLUMN stats.profile_maximum.sd_level_mm IS 'SD of the level, absolute. Between persons. [mm]';
COMMENT ON COLUMN stats.profile_maximum.weighting IS 'Weighting. unweighted: no survey weights are used.';
COMMENT ON COLUMN stats.profile_maximum.code_version IS 'Code version. Hash of the code and SQL that computed the row.';
COMMENT ON COLUMN stats.profile_maximum.suppression IS 'Suppression. Why the published row is empty or older; NULL where it is shown, and in the research file.';

WITH muscle AS (
    SELECT
        study, participant_id, visit, model_version, compartment, side,
        list(csa_cm2 ORDER BY slice_index) AS area, max(z_mm) AS top_mm, min(z_mm) AS bottom_mm, count(*) AS n_slices,
        -- The odd number of slices nearest to 15 mm.
        greatest(2 * round((15 * (count(*) - 1) / nullif(max(z_mm) - min(z_mm), 0) - 1) / 2)::INTEGER + 1, 1) AS width
    FROM imaging.csa_profile
    SEMI JOIN marts.analysed_person USING (study, participant_id, visit, model_version)
    GROUP BY ALL
), smoothed AS (
    -- The ends are repeated, as in models/measurement/morphometry.py.
    SELECT
        * EXCLUDE (area),
        list_transform(
            range(1, n_slices + 1),
            lambda i: round(list_avg(list_transform(
                range(i - width // 2, i + width // 2 + 1), lambda k: area[greatest(1, least(n_slices, k))]
            )), 9)
        ) AS area
    FROM muscle
), level AS (
    SELECT
        * EXCLUDE (area), list_position(area, list_max(area)) - 1 AS slice,
        max(top_mm) FILTER (compartment = 'gluteus') OVER (PARTITION BY study, participant_id, visit, model_version, side) AS gluteus_mm
    FROM smoothed
)
SELECT
    analysis_set, compartment, side, sex, age_band, bmi_group, count(*) AS n,
    avg(level_pct) AS mean_level_pct, stddev_samp(level_pct) AS sd_level_pct,
    avg(level_mm) AS mean_level_mm, stddev_samp(level_mm) AS sd_level_mm
FROM (
    SELECT
        *, 100 * (slice + 0.5) / n_slices AS level_pct,
        gluteus_mm - (top_mm - slice * (top_mm - bottom_mm) / nullif(n_slices - 1, 0)) AS level_mm
    FROM level JOIN marts.analysed_person USING (study, participant_id, visit, model_version)
)
GROUP BY analysis_set, compartment, side, CUBE (sex, age_band, bmi_group)
HAVING (grouping(sex) = 1 OR sex IS NOT NULL)
    AND (grouping(age_band) = 1 OR age_band IS NOT NULL)
    AND (grouping(bmi_group) = 1 OR bmi_group IS NOT NULL);
