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
    sd_share_pct DOUBLE,
    weighting VARCHAR DEFAULT 'unweighted',
    code_version VARCHAR DEFAULT getvariable('code_version'),
    suppression VARCHAR
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
COMMENT ON COLUMN stats.profile.weighting IS 'Weighting. unweighted: no survey weights are used.';
COMMENT ON COLUMN stats.profile.code_version IS 'Code version. Hash of the code and SQL that computed the row.';
COMMENT ON COLUMN stats.profile.suppression IS 'Suppression. Why the published row is empty or older; NULL where it is shown, and in the research file.';

-- The smallest cells are summed first: n, sum and sum of squares are enough for the mean and SD of every larger one.
WITH cell AS (
    SELECT
        analysis_set, compartment, side, sex, age_band, bmi_group, bin,
        count(*) AS n, sum(share_pct) AS total, sum(share_pct ** 2) AS total_of_squares
    FROM imaging.spatial_distribution
    JOIN marts.analysed_person USING (study, participant_id, visit, model_version)
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
