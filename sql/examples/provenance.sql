-- From which releases, model and code are these numbers? For the methods section; methods.md says it in words.
SELECT snapshot, release, study, model_version, code_version, software, least_persons
FROM meta.release_log
WHERE snapshot = (SELECT max(snapshot) FROM meta.release_log)
ORDER BY release;
