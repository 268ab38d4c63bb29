-- Every stored case was segmented, and of 20 deliveries or more at most a quarter were refused and at most a quarter rejected, unless accepted (make accept).
SELECT *
FROM marts.release_summary
WHERE n_unsegmented > 0 OR (
    n_deliveries >= 20 AND (refused_pct > 25 OR rejected_pct > 25) AND NOT is_accepted
);
