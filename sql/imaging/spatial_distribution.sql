-- Figure 7 for one participant: how a compartment's area is distributed along its length.
CREATE OR REPLACE VIEW imaging.spatial_distribution AS
WITH slice AS (
    SELECT
        study, participant_id, visit, model_version, compartment, side, slice_index::DOUBLE AS slice_index,
        count(*) OVER muscle AS n_slices,
        100 * csa_cm2 / sum(csa_cm2) OVER muscle AS share_pct
    FROM imaging.csa_profile
    WINDOW muscle AS (PARTITION BY study, participant_id, visit, model_version, compartment, side)
), piece AS (
    SELECT
        *,
        unnest(range(floor(100 * slice_index / n_slices)::BIGINT, ceil(100 * (slice_index + 1) / n_slices)::BIGINT)) AS bin
    FROM slice
)
SELECT
    study, participant_id, visit, model_version, compartment, side, bin,
    sum(share_pct * greatest(0,
        least(bin + 1, 100 * (slice_index + 1) / n_slices) - greatest(bin, 100 * slice_index / n_slices)
    ) * n_slices / 100) AS share_pct
FROM piece
GROUP BY ALL;
COMMENT ON VIEW imaging.spatial_distribution IS 'Spatial distribution. Share of the total area in each of 100 equal bins from the cranial to the caudal end of a participant''s compartment and side; sums to 100 percent.';
