-- Exclusions by reason and by who was excluded.
CREATE TABLE IF NOT EXISTS stats.exclusion (
    analysis_set VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    subject VARCHAR,
    grouping VARCHAR NOT NULL,
    category VARCHAR,
    n INTEGER,
    pct DOUBLE,
    code_version VARCHAR DEFAULT getvariable('code_version'),
    suppression VARCHAR
);
COMMENT ON TABLE stats.exclusion IS 'Exclusion. Persons with images who were excluded, by reason and one grouping at a time.';
COMMENT ON COLUMN stats.exclusion.analysis_set IS 'Analysis set. study / source / model; every measured set, the one in force (ref.analysis_set) among them.';
COMMENT ON COLUMN stats.exclusion.reason IS 'Reason. Code of the refusal or failure, name of the check, reason of the reader; any = all of them.';
COMMENT ON COLUMN stats.exclusion.subject IS 'Subject. Of the check that failed, image or mask; NULL for other reasons.';
COMMENT ON COLUMN stats.exclusion.grouping IS 'Grouping. all, sex, age_band, bmi_band, centre or release.';
COMMENT ON COLUMN stats.exclusion.category IS 'Category. Of the grouping; NULL = not known, or all.';
COMMENT ON COLUMN stats.exclusion.n IS 'Persons. Excluded for the reason. [1]';
COMMENT ON COLUMN stats.exclusion.pct IS 'Share. Of the persons of the category who have images. [%]';
COMMENT ON COLUMN stats.exclusion.code_version IS 'Code version. Hash of the code and SQL that computed the row.';
COMMENT ON COLUMN stats.exclusion.suppression IS 'Suppression. Why the published row is empty; NULL where it is shown, and in the research file.';

WITH long AS (
    SELECT
        analysis_set, participant_id, is_excluded, reason,
        unnest(['all', 'sex', 'age_band', 'bmi_band', 'centre', 'release']) AS grouping,
        unnest([NULL, sex, age_band, bmi_band, centre, release]) AS category
    FROM marts.eligibility
), total AS (
    SELECT analysis_set, grouping, category, count(*) AS n_persons FROM long GROUP BY ALL
), excluded AS (
    SELECT analysis_set, grouping, category, reason, count(*) AS n FROM long WHERE is_excluded GROUP BY ALL
    UNION ALL
    SELECT analysis_set, grouping, category, 'any', count(*) FROM long WHERE is_excluded GROUP BY ALL
)
SELECT excluded.analysis_set, reason, threshold.subject, excluded.grouping, excluded.category, n, 100 * n / n_persons AS pct
FROM excluded
JOIN total
    ON (total.analysis_set, total.grouping) = (excluded.analysis_set, excluded.grouping)
    AND total.category IS NOT DISTINCT FROM excluded.category
LEFT JOIN ref.threshold AS threshold ON threshold.check_name = excluded.reason
ORDER BY ALL;
