-- Age bands, BMI classes and the study's two BMI groups.
CREATE TABLE IF NOT EXISTS ref.band (
    kind VARCHAR NOT NULL,
    band VARCHAR NOT NULL,
    lower DOUBLE NOT NULL,
    upper DOUBLE NOT NULL,
    position INTEGER NOT NULL
);
COMMENT ON TABLE ref.band IS 'Band. Left-closed intervals of age, in years, and BMI, in kg/m2; Figure 7''s two BMI groups are <= 25 and > 25, as the study writes.';
COMMENT ON COLUMN ref.band.kind IS 'Kind. age, bmi, or bmi_group (Figure 7).';
COMMENT ON COLUMN ref.band.band IS 'Band. Its name.';
COMMENT ON COLUMN ref.band.lower IS 'Lower limit. Inside the band (bmi_group: outside). In years or kg/m2.';
COMMENT ON COLUMN ref.band.upper IS 'Upper limit. Outside the band (bmi_group: inside). In years or kg/m2.';
COMMENT ON COLUMN ref.band.position IS 'Position. In the order of display. [1]';

SELECT *
FROM (VALUES
    ('age', '18-29', 18, 30, 1),
    ('age', '30-39', 30, 40, 2),
    ('age', '40-49', 40, 50, 3),
    ('age', '50-59', 50, 60, 4),
    ('age', '60+', 60, 'Infinity'::DOUBLE, 5),
    ('bmi', '<18.5', 0, 18.5, 1),
    ('bmi', '18.5-25', 18.5, 25, 2),
    ('bmi', '25-30', 25, 30, 3),
    ('bmi', '30-35', 30, 35, 4),
    ('bmi', '35-40', 35, 40, 5),
    ('bmi', '>=40', 40, 'Infinity'::DOUBLE, 6),
    ('bmi_group', '<=25', 0, 25, 1),
    ('bmi_group', '>25', 25, 'Infinity'::DOUBLE, 2)
) AS band (kind, band, lower, upper, position);
