-- The linear models of stats.regression.
CREATE TABLE IF NOT EXISTS ref.regression_model (
    model VARCHAR NOT NULL,
    label VARCHAR NOT NULL,
    terms VARCHAR NOT NULL
);
COMMENT ON TABLE ref.regression_model IS 'Regression model. Ordinary least squares, each within women and within men; those with sex over both.';
COMMENT ON COLUMN ref.regression_model.model IS 'Model. Its name.';
COMMENT ON COLUMN ref.regression_model.label IS 'Label. As shown to people.';
COMMENT ON COLUMN ref.regression_model.terms IS 'Terms. Comma-separated covariates; sex_male is 1 for men, 0 for women.';

SELECT *
FROM (VALUES
    ('crude_age', 'Age alone', 'age_years'),
    ('crude_bmi', 'BMI alone', 'bmi_kg_m2'),
    ('crude_sex', 'Sex alone', 'sex_male'),
    ('age_bmi', 'Age and BMI', 'age_years,bmi_kg_m2'),
    ('sex_age_bmi', 'Sex, age and BMI', 'sex_male,age_years,bmi_kg_m2')
) AS model (model, label, terms);
