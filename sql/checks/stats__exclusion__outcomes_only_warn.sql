-- Nobody is excluded because of what depends on the outcome.
SELECT * FROM stats.exclusion WHERE subject = 'outcome';
