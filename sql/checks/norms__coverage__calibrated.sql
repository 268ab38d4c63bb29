-- Norms are calibrated: no cell is over 2 percentage points off with p < 0.05 after Holm's correction over all cells.
SELECT *
FROM norms.coverage
WHERE p_holm < 0.05 AND abs(observed_pct - centile) > 2;
