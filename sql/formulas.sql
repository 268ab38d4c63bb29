-- Functions for readers: they work in both published files (after ATTACH ... AS x only with USE x).

-- z-score of a value for given L, M, S (Cole and Green 1992); NULL for a value that is not positive.
CREATE OR REPLACE MACRO lms_z(value, l, m, s) AS
CASE
    WHEN value <= 0 THEN NULL
    WHEN abs(l) < 1e-9 THEN ln(value / m) / s
    ELSE ((value / m) ** l - 1) / (l * s)
END;

-- Value at a z-score for given L, M, S.
CREATE OR REPLACE MACRO lms_value(z, l, m, s) AS
CASE WHEN abs(l) < 1e-9 THEN m * exp(s * z) ELSE m * (1 + l * s * z) ** (1 / l) END;

-- Upper tail of the standard normal distribution at x >= 0, error below 7.5e-8 (Abramowitz and Stegun 1964, 26.2.17);
-- t = 1 / (1 + 0.2316419 x).
CREATE OR REPLACE MACRO normal_tail(x, t) AS
exp(-x * x / 2) / sqrt(2 * pi()) * t
    * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));

-- Standard normal distribution function, error below 7.5e-8.
CREATE OR REPLACE MACRO normal_cdf(z) AS
CASE
    WHEN z < 0 THEN normal_tail(-z, 1 / (1 - 0.2316419 * z))
    ELSE 1 - normal_tail(z, 1 / (1 + 0.2316419 * z))
END;

-- Current norms at an age (years) and BMI (kg/m2; NULL = all BMI), as a struct: L, log M, S and their covariance, linear
-- between the grid points of norms.lms; NULL outside the reference range. Names end in _ lest a reader's column hide them.
CREATE OR REPLACE MACRO norms_at(measure, sex, age, bmi) AS (
    SELECT {
        'l': sum(weight_ * grid_.l), 'log_m': sum(weight_ * ln(grid_.m)), 's': sum(weight_ * grid_.s),
        'mm': sum(weight_ * grid_.var_log_m), 'ms': sum(weight_ * grid_.cov_log_m_log_s),
        'ml': sum(weight_ * grid_.cov_log_m_l), 'ss': sum(weight_ * grid_.var_log_s),
        'sl': sum(weight_ * grid_.cov_log_s_l), 'll': sum(weight_ * grid_.var_l)
    }
    FROM (
        SELECT
            *,
            (1 - abs(age_ - near_age_)) * CASE WHEN bmi_ IS NULL THEN 1 ELSE 1 - abs(bmi_ - near_bmi_) END AS weight_
        FROM (
            SELECT
                measure AS measure_, sex AS sex_, age::DOUBLE AS age_, bmi::DOUBLE AS bmi_,
                unnest([floor(age), floor(age), floor(age) + 1, floor(age) + 1]) AS near_age_,
                unnest(CASE
                    WHEN bmi IS NULL THEN [NULL, 0, NULL, 0]
                    ELSE [floor(bmi), floor(bmi) + 1, floor(bmi), floor(bmi) + 1]
                END) AS near_bmi_
        )
    ) AS corner_
    JOIN norms.lms AS grid_
        ON grid_.measure = corner_.measure_ AND grid_.sex = corner_.sex_ AND grid_.age_years = corner_.near_age_
            AND grid_.bmi_kg_m2 IS NOT DISTINCT FROM corner_.near_bmi_
    WHERE weight_ > 0
    HAVING sum(weight_) > 1 - 1e-9
);

-- z-score of a person's value under the current norms; bmi NULL: among all persons of the age.
CREATE OR REPLACE MACRO z_score(measure, sex, age, bmi, value) AS (
    SELECT lms_z(value_, at_.l, exp(at_.log_m), at_.s)
    FROM (SELECT norms_at(measure, sex, age, bmi) AS at_, value AS value_)
);

-- Percentile of a person's value under the current norms, in percent.
CREATE OR REPLACE MACRO percentile(measure, sex, age, bmi, value) AS (
    SELECT 100 * normal_cdf(z_)
    FROM (
        SELECT lms_z(value_, at_.l, exp(at_.log_m), at_.s) AS z_
        FROM (SELECT norms_at(measure, sex, age, bmi) AS at_, value AS value_)
    )
);

-- Standard error of a value's z-score by the delta method: r = ln(value / M), x = L r, p = (value / M)^L, from norms_at.
CREATE OR REPLACE MACRO z_standard_error(z, r, norms) AS (
    SELECT
        sqrt(m_ * m_ * at_.mm + z_ * z_ * at_.ss + l_ * l_ * at_.ll
            + 2 * (m_ * -z_ * at_.ms + m_ * l_ * at_.ml - z_ * l_ * at_.sl))
    FROM (
        SELECT
            z_, at_, -exp(x_) / at_.s AS m_,
            r_ * r_ / at_.s * CASE
                WHEN abs(x_) < 1e-3 THEN 0.5 + x_ / 3 + x_ * x_ / 8 ELSE (exp(x_) - (exp(x_) - 1) / x_) / x_
            END AS l_
        FROM (SELECT z AS z_, r AS r_, norms AS at_, (norms).l * r AS x_)
    )
);

-- 95 % limits of a person's percentile under the current norms, in percent, as a struct: ci_low, ci_high.
CREATE OR REPLACE MACRO percentile_limits(measure, sex, age, bmi, value) AS (
    SELECT {'ci_low': 100 * normal_cdf(z_ - 1.959963985 * se_), 'ci_high': 100 * normal_cdf(z_ + 1.959963985 * se_)}
    FROM (
        SELECT z_, z_standard_error(z_, ln(value_) - at_.log_m, at_) AS se_
        FROM (
            SELECT lms_z(value_, at_.l, exp(at_.log_m), at_.s) AS z_, at_, value_
            FROM (SELECT norms_at(measure, sex, age, bmi) AS at_, value AS value_)
        )
        WHERE z_ IS NOT NULL
    )
);
