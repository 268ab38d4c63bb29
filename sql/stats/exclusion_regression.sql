-- Whether being excluded depends on who one is: logistic regression.
CREATE TABLE IF NOT EXISTS stats.exclusion_regression (
    analysis_set VARCHAR NOT NULL,
    term VARCHAR NOT NULL,
    n INTEGER,
    n_excluded INTEGER,
    odds_ratio DOUBLE,
    ci_low DOUBLE,
    ci_high DOUBLE,
    p DOUBLE,
    reason VARCHAR,
    code_version VARCHAR DEFAULT getvariable('code_version'),
    suppression VARCHAR
);
COMMENT ON TABLE stats.exclusion_regression IS 'Exclusion regression. Logistic regression of being excluded on sex, age, BMI and centre among persons with images; an odds ratio near 1 says that exclusion does not depend on the term.';
COMMENT ON COLUMN stats.exclusion_regression.analysis_set IS 'Analysis set. study / source / model.';
COMMENT ON COLUMN stats.exclusion_regression.term IS 'Term. sex_male, age_10_years, bmi_5_kg_m2, centre <name> (against the largest centre).';
COMMENT ON COLUMN stats.exclusion_regression.n IS 'Persons. With all covariates. [1]';
COMMENT ON COLUMN stats.exclusion_regression.n_excluded IS 'Excluded. Of these persons. [1]';
COMMENT ON COLUMN stats.exclusion_regression.odds_ratio IS 'Odds ratio. Per unit of the term; NULL where it cannot be estimated. [1]';
COMMENT ON COLUMN stats.exclusion_regression.ci_low IS 'Lower limit. Of the 95 % confidence interval. [1]';
COMMENT ON COLUMN stats.exclusion_regression.ci_high IS 'Upper limit. Of the 95 % confidence interval. [1]';
COMMENT ON COLUMN stats.exclusion_regression.p IS 'p value. Wald test. [1]';
COMMENT ON COLUMN stats.exclusion_regression.reason IS 'Reason. Why nothing could be estimated.';
COMMENT ON COLUMN stats.exclusion_regression.code_version IS 'Code version. Hash of the code and SQL that computed the row.';
COMMENT ON COLUMN stats.exclusion_regression.suppression IS 'Suppression. Why the published row is empty; NULL where it is shown, and in the research file.';
