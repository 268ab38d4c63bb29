-- Lines of reviews/ that were not taken in.
CREATE TABLE IF NOT EXISTS imaging.review_issue (
    file VARCHAR NOT NULL,
    line INTEGER,
    code VARCHAR NOT NULL,
    message VARCHAR NOT NULL
);
COMMENT ON TABLE imaging.review_issue IS 'Review issue. Files and lines of reviews/ that were not taken in, and what to do.';
COMMENT ON COLUMN imaging.review_issue.file IS 'File. Its name; hashed where it is no reader''s file.';
COMMENT ON COLUMN imaging.review_issue.line IS 'Line. Counted from 1; NULL = the whole file. [1]';
COMMENT ON COLUMN imaging.review_issue.code IS 'Code. Listed in docs/operations.md.';
COMMENT ON COLUMN imaging.review_issue.message IS 'Message. What is wrong, and what to do.';
