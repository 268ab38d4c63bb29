-- Every row of every withdrawals.csv could be read: a withdrawal that is not understood must not be published over. Correct the file and run the update again.
SELECT release, path, item, code, message
FROM raw.intake_issue
WHERE path LIKE 'withdrawals.%' AND code <> 'duplicate_row';
