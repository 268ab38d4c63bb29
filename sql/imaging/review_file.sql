-- The files of reviews/ as they were read last: an update compares them with what lies there now.
CREATE TABLE IF NOT EXISTS imaging.review_file (
    file VARCHAR NOT NULL,
    sha256 VARCHAR NOT NULL,
    n_readings INTEGER NOT NULL
);
COMMENT ON TABLE imaging.review_file IS 'Review file. Files of reviews/ that imaging.review holds the verdicts of.';
COMMENT ON COLUMN imaging.review_file.file IS 'File. Its name: <reader>.jsonl.';
COMMENT ON COLUMN imaging.review_file.sha256 IS 'Hash. sha256 of its bytes.';
COMMENT ON COLUMN imaging.review_file.n_readings IS 'Readings. Valid ones in it. [1]';
