-- How far two readers agree on masks.
CREATE TABLE IF NOT EXISTS stats.review_agreement (
    study VARCHAR NOT NULL,
    model_version VARCHAR NOT NULL,
    muscle VARCHAR NOT NULL,
    n INTEGER,
    observed_pct DOUBLE,
    ac1 DOUBLE,
    ac1_low DOUBLE,
    ac1_high DOUBLE,
    pabak DOUBLE,
    kappa DOUBLE,
    code_version VARCHAR DEFAULT getvariable('code_version')
);
COMMENT ON TABLE stats.review_agreement IS 'Review agreement. First against blinded second readings of accept, reject and unsure. AC1 and PABAK hold where nearly all cases are accepted; kappa does not, and is given for comparison.';
COMMENT ON COLUMN stats.review_agreement.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN stats.review_agreement.model_version IS 'Model. Version of the segmentation model.';
COMMENT ON COLUMN stats.review_agreement.muscle IS 'Muscle. Side and compartment; case = whether any muscle was rejected, else unsure, else accepted.';
COMMENT ON COLUMN stats.review_agreement.n IS 'Cases. Read twice. [1]';
COMMENT ON COLUMN stats.review_agreement.observed_pct IS 'Observed agreement. Cases with the same verdict twice. [%]';
COMMENT ON COLUMN stats.review_agreement.ac1 IS 'AC1. Gwet 2008: agreement beyond chance, robust against prevalence. [1]';
COMMENT ON COLUMN stats.review_agreement.ac1_low IS 'AC1, lower limit. Of the 95 % confidence interval. [1]';
COMMENT ON COLUMN stats.review_agreement.ac1_high IS 'AC1, upper limit. Of the 95 % confidence interval. [1]';
COMMENT ON COLUMN stats.review_agreement.pabak IS 'PABAK. Prevalence- and bias-adjusted kappa, (q p - 1) / (q - 1), q = 3 verdicts. [1]';
COMMENT ON COLUMN stats.review_agreement.kappa IS 'Kappa. Cohen 1960. [1]';
COMMENT ON COLUMN stats.review_agreement.code_version IS 'Code version. Hash of the code and SQL that computed the row.';
