-- Figure 7 for one participant: how a compartment's area is distributed along its length.
CREATE OR REPLACE VIEW imaging.spatial_distribution AS
WITH muscle AS (
    SELECT
        study, participant_id, visit, model_version, compartment, side,
        list(csa_cm2::DOUBLE ORDER BY slice_index) AS area
    FROM imaging.csa_profile
    GROUP BY ALL
    HAVING sum(csa_cm2) > 0
), slices_above AS (
    SELECT
        *, len(area) / 100 AS slices_per_bin, list_sum(area) AS total,
        list_transform(range(0, len(area) + 1), lambda i: coalesce(list_sum(area[1:i]), 0)) AS above
    FROM muscle
), edge AS (
    -- Percent of the area above each of the 101 edges of bins: whole slices, and part of the slice the edge lies in.
    SELECT
        * EXCLUDE (area, above),
        list_transform(range(0, 101), lambda b: 100 / total * (
            above[floor(b * slices_per_bin)::INTEGER + 1]
            + (b * slices_per_bin - floor(b * slices_per_bin)) * coalesce(area[floor(b * slices_per_bin)::INTEGER + 1], 0)
        )) AS above_pct
    FROM slices_above
)
SELECT
    study, participant_id, visit, model_version, compartment, side,
    unnest(range(0, 100)) AS bin,
    unnest(list_transform(range(0, 100), lambda b: above_pct[b + 2] - above_pct[b + 1])) AS share_pct
FROM edge;
COMMENT ON VIEW imaging.spatial_distribution IS 'Spatial distribution. Share of the total area in each of 100 equal bins from the cranial to the caudal end of a participant''s compartment and side; sums to 100 percent.';
