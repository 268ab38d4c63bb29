-- The formulas behind the numbers, one row each.
CREATE TABLE IF NOT EXISTS ref.formula (
    name VARCHAR NOT NULL,
    formula VARCHAR NOT NULL,
    source VARCHAR NOT NULL
);
COMMENT ON TABLE ref.formula IS 'Formula. How what is shown is computed.';
COMMENT ON COLUMN ref.formula.name IS 'Name. Of the quantity.';
COMMENT ON COLUMN ref.formula.formula IS 'Formula. In words and symbols.';
COMMENT ON COLUMN ref.formula.source IS 'Source. Publication, or where it is implemented.';

SELECT *
FROM (VALUES
    ('body mass index', 'weight_kg / (height_cm / 100)^2', 'definition'),
    ('psoas area, left + right', 'largest area of the left side + largest area of the right side, each on its own slice', 'Kiefer et al. 2026'),
    ('index by height', 'measure / (height_cm / 100)^2', 'Kiefer et al. 2026'),
    ('95 % interval of a mean', 'mean +- t(0.975, n - 1) sd / sqrt(n)', 'models/statistics/descriptive.py'),
    ('empirical percentile', 'type 7: linear between the ranks around (n - 1) p', 'Hyndman and Fan 1996'),
    ('95 % limits of a percentile', 'order statistics with ranks B(0.025) and B(0.975) + 1, B the quantiles of Binomial(n, p)', 'Conover 1999, section 3.2'),
    ('95 % interval of r', 'tanh(atanh(r) +- 1.96 / sqrt(n - 3))', 'Fisher 1921'),
    ('standard error of a regression', 'HC3: residuals divided by 1 - leverage', 'MacKinnon and White 1985'),
    ('adjusted p', 'Holm over all tests of the table', 'Holm 1979'),
    ('partial R squared', 't^2 / (t^2 + n - p)', 'models/statistics/association.py'),
    ('sex difference', '100 (1 - mean of women / mean of men)', 'interval: Donner and Zou 2012'),
    ('spatial distribution', '100 sum_i A_i w_ib / sum_i A_i, w_ib the fraction of slice i inside bin b of 100', 'sql/stats/profile.sql'),
    ('level of the maximum', 'argmax of the profile smoothed over about 15 mm, ties to the cranial one', 'sql/stats/profile_maximum.sql'),
    ('change per year', '100 ln(later / first) / years between', 'sql/marts/muscle_change.sql'),
    ('z-score', '((y / M)^L - 1) / (L S), with L = 0: ln(y / M) / S', 'Cole and Green 1992')
) AS formula (name, formula, source);
