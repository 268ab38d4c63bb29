-- Figure 7 without the cases whose psoas may take in the iliacus: a sensitivity analysis of stats.profile.
CREATE TABLE IF NOT EXISTS marts.profile_without_junction (
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
COMMENT ON TABLE marts.profile_without_junction IS 'Spatial distribution without junction warnings. As stats.profile, without the cases of which psoas_caudal_rise_pct or psoas_maximum_level_pct warns: a junction found wrongly imitates the distal shift of Figure 7. Empty where no case is flagged. In the research file only: beside stats.profile it would show the few cases left out.';
COMMENT ON COLUMN marts.profile_without_junction.analysis_set IS 'Analysis set. In ref.analysis_set.';
COMMENT ON COLUMN marts.profile_without_junction.compartment IS 'Compartment. psoas or gluteus.';
COMMENT ON COLUMN marts.profile_without_junction.side IS 'Side. left or right of the participant, by world coordinates.';
COMMENT ON COLUMN marts.profile_without_junction.sex IS 'Sex. F or M; NULL = pooled.';
COMMENT ON COLUMN marts.profile_without_junction.age_band IS 'Age band. In ref.band; NULL = all ages.';
COMMENT ON COLUMN marts.profile_without_junction.bmi_group IS 'BMI group. <=25 or >25; NULL = all, persons without BMI included.';
COMMENT ON COLUMN marts.profile_without_junction.bin IS 'Bin. 0 = cranial, 99 = caudal. [1]';
COMMENT ON COLUMN marts.profile_without_junction.n IS 'Persons. Number behind the row. [1]';
COMMENT ON COLUMN marts.profile_without_junction.mean_share_pct IS 'Mean share. Of the total area. [%]';
COMMENT ON COLUMN marts.profile_without_junction.sd_share_pct IS 'SD of the share. Between persons. [%]';

WITH flagged AS (
    SELECT DISTINCT study, participant_id, visit, model_version
    FROM imaging.quality
    WHERE check_name IN ('psoas_caudal_rise_pct', 'psoas_maximum_level_pct') AND verdict <> 'pass'
), person AS (
    FROM marts.analysed_person
    SEMI JOIN flagged AS affected USING (study, model_version)
    ANTI JOIN flagged USING (study, participant_id, visit, model_version)
), cell AS (
    SELECT
        analysis_set, compartment, side, sex, age_band, bmi_group, bin,
        count(*) AS n, sum(share_pct) AS total, sum(share_pct ** 2) AS total_of_squares
    FROM imaging.spatial_distribution
    JOIN person USING (study, participant_id, visit, model_version)
    GROUP BY ALL
)
SELECT
    analysis_set, compartment, side, sex, age_band, bmi_group, bin, sum(cell.n) AS n,
    sum(total) / sum(cell.n) AS mean_share_pct,
    sqrt(greatest(sum(total_of_squares) - sum(total) ** 2 / sum(cell.n), 0) / nullif(sum(cell.n) - 1, 0)) AS sd_share_pct
FROM cell
GROUP BY analysis_set, compartment, side, bin, CUBE (sex, age_band, bmi_group)
HAVING (grouping(sex) = 1 OR sex IS NOT NULL)
    AND (grouping(age_band) = 1 OR age_band IS NOT NULL)
    AND (grouping(bmi_group) = 1 OR bmi_group IS NOT NULL);
