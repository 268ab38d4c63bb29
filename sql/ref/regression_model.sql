-- The linear models of stats.regression, as data: a row more is a model more.
CREATE TABLE IF NOT EXISTS ref.regression_model (
    model VARCHAR NOT NULL,
    label VARCHAR NOT NULL,
    terms VARCHAR NOT NULL
);
COMMENT ON TABLE ref.regression_model IS 'Regression model. Ordinary least squares, unweighted; with sex over both sexes, without sex in women, in men and pooled.';
COMMENT ON COLUMN ref.regression_model.model IS 'Model. Its name.';
COMMENT ON COLUMN ref.regression_model.label IS 'Label. As shown to people.';
COMMENT ON COLUMN ref.regression_model.terms IS 'Terms. Separated by commas: a covariate, age_years-50 (centred at 50), sex_male (1 for men, 0 for women), centre (categories), a:b (product), spline(age_years-50).';

SELECT *
FROM (VALUES
    ('crude_sex', 'Sex alone', 'sex_male'),
    ('crude_age', 'Age alone', 'age_years-50'),
    ('crude_bmi', 'BMI alone', 'bmi_kg_m2-25'),
    ('spline_age', 'Age alone, as a curve', 'spline(age_years-50)'),
    ('age_bmi', 'Age and BMI', 'age_years-50, bmi_kg_m2-25'),
    ('age_bmi_centre', 'Age, BMI and study centre', 'age_years-50, bmi_kg_m2-25, centre'),
    ('age_height_weight', 'Age, height and weight', 'age_years-50, height_cm-170, weight_kg-75'),
    ('sex_x_age', 'Sex, age and their product', 'sex_male, age_years-50, sex_male:age_years-50'),
    ('sex_age_bmi_centre', 'Sex, age, BMI and study centre', 'sex_male, age_years-50, bmi_kg_m2-25, centre'),
    ('sex_age_height_weight', 'Sex, age, height and weight', 'sex_male, age_years-50, height_cm-170, weight_kg-75'),
    ('sex_spline_age_bmi', 'Sex, age as a curve, BMI', 'sex_male, spline(age_years-50), bmi_kg_m2-25'),
    ('sex_age_bmi', 'Sex, age and BMI', 'sex_male, age_years-50, bmi_kg_m2-25')
) AS model (model, label, terms);
