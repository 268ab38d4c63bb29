-- Segmentation scores over cases: the study's Table 3, the quartiles of its Figure 3, by sex, and by size of the compartment.
CREATE TABLE IF NOT EXISTS stats.segmentation_score (
    study VARCHAR NOT NULL,
    model_version VARCHAR,
    comparison VARCHAR NOT NULL,
    validation VARCHAR,
    compartment VARCHAR NOT NULL,
    side VARCHAR NOT NULL,
    metric VARCHAR NOT NULL,
    sex VARCHAR,
    size_third INTEGER,
    n INTEGER,
    mean DOUBLE,
    sd DOUBLE,
    p25 DOUBLE,
    p50 DOUBLE,
    p75 DOUBLE,
    code_version VARCHAR DEFAULT getvariable('code_version'),
    suppression VARCHAR
);
COMMENT ON TABLE stats.segmentation_score IS 'Segmentation score summary. Mean and spread over cases, one per person (first annotated visit): Table 3 where sex and size are NULL.';
COMMENT ON COLUMN stats.segmentation_score.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN stats.segmentation_score.model_version IS 'Model. Version of the segmentation model; NULL where readers are compared.';
COMMENT ON COLUMN stats.segmentation_score.comparison IS 'Comparison. automatic (model against reader), intra_reader or inter_reader.';
COMMENT ON COLUMN stats.segmentation_score.validation IS 'Validation. out_of_fold (training cases) or test (held-out cases); NULL where readers are compared.';
COMMENT ON COLUMN stats.segmentation_score.compartment IS 'Compartment. psoas or gluteus.';
COMMENT ON COLUMN stats.segmentation_score.side IS 'Side. left or right.';
COMMENT ON COLUMN stats.segmentation_score.metric IS 'Metric. Column of imaging.segmentation_score.';
COMMENT ON COLUMN stats.segmentation_score.sex IS 'Sex. F or M; NULL = pooled.';
COMMENT ON COLUMN stats.segmentation_score.size_third IS 'Size. Third of the cases by reference volume of this compartment and side, 1 = smallest; NULL = all. [1]';
COMMENT ON COLUMN stats.segmentation_score.n IS 'Persons. Number behind the row. [1]';
COMMENT ON COLUMN stats.segmentation_score.mean IS 'Mean. In the unit of the metric: 1, hd95_mm in mm.';
COMMENT ON COLUMN stats.segmentation_score.sd IS 'Standard deviation. In the unit of the metric: 1, hd95_mm in mm.';
COMMENT ON COLUMN stats.segmentation_score.p25 IS '25th percentile. Type 7, in the unit of the metric: 1, hd95_mm in mm.';
COMMENT ON COLUMN stats.segmentation_score.p50 IS 'Median. In the unit of the metric: 1, hd95_mm in mm.';
COMMENT ON COLUMN stats.segmentation_score.p75 IS '75th percentile. Type 7, in the unit of the metric: 1, hd95_mm in mm.';
COMMENT ON COLUMN stats.segmentation_score.code_version IS 'Code version. Hash of the code and SQL that computed the row.';
COMMENT ON COLUMN stats.segmentation_score.suppression IS 'Suppression. Why the published row is empty; NULL where it is shown, and in the research file.';

WITH person AS (
    SELECT
        score.*, sex,
        if(volume_ml IS NULL, NULL, ntile(3) OVER (
            PARTITION BY score.study, model_version, comparison, validation, compartment, side, volume_ml IS NULL
            ORDER BY volume_ml, score.participant_id
        )) AS size_third
    FROM (
        FROM imaging.segmentation_score
        QUALIFY row_number() OVER (
            PARTITION BY study, participant_id, model_version, comparison, validation, compartment, side
            ORDER BY try_cast(visit AS INTEGER) NULLS LAST, visit, other_reading, other_reader
        ) = 1
    ) AS score
    LEFT JOIN raw.current_participant AS covariates USING (study, participant_id, visit)
), value AS (
    UNPIVOT person
    ON dice, surface_dice_3mm, hd95_mm, precision, recall, specificity, accuracy
    INTO NAME metric VALUE value
)
SELECT
    study, model_version, comparison, validation, compartment, side, metric, sex, size_third,
    count(*) AS n, avg(value) AS mean, stddev_samp(value) AS sd,
    quantile_cont(value, 0.25) AS p25, median(value) AS p50, quantile_cont(value, 0.75) AS p75
FROM value
GROUP BY study, model_version, comparison, validation, compartment, side, metric, GROUPING SETS ((), (sex), (size_third))
HAVING (grouping(sex) = 1 OR sex IS NOT NULL) AND (grouping(size_third) = 1 OR size_third IS NOT NULL);
