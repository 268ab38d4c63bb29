-- What does a column mean, and in which unit? Every column of every table is described.
SELECT table_name, column_name, label, details, unit
FROM meta.data_dictionary
WHERE column_name LIKE '%level%'
ORDER BY table_name, position;
