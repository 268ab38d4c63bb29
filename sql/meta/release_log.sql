-- What each publication was made of.
CREATE TABLE IF NOT EXISTS meta.release_log (
    snapshot VARCHAR NOT NULL,
    release VARCHAR NOT NULL,
    study VARCHAR NOT NULL,
    fingerprint VARCHAR NOT NULL,
    model_version VARCHAR NOT NULL,
    code_version VARCHAR NOT NULL,
    software VARCHAR,
    least_persons INTEGER,
    n_added INTEGER,
    n_changed INTEGER,
    n_dropped INTEGER,
    published_at TIMESTAMP NOT NULL
);
COMMENT ON TABLE meta.release_log IS 'Release log. One row per publication and release in it.';
COMMENT ON COLUMN meta.release_log.snapshot IS 'Snapshot. Stamp of the publication.';
COMMENT ON COLUMN meta.release_log.release IS 'Release. Name of the delivery.';
COMMENT ON COLUMN meta.release_log.study IS 'Study. "synthetic" marks invented data.';
COMMENT ON COLUMN meta.release_log.fingerprint IS 'Fingerprint. Hash of the names, sizes and times of all files of the release.';
COMMENT ON COLUMN meta.release_log.model_version IS 'Model. Segmentation model in force.';
COMMENT ON COLUMN meta.release_log.code_version IS 'Code version. Hash of the code and SQL that computed the snapshot.';
COMMENT ON COLUMN meta.release_log.software IS 'Software. Versions of Myonorm, Python and the libraries that compute.';
COMMENT ON COLUMN meta.release_log.least_persons IS 'Least persons. Smallest count that the aggregate file shows. [1]';
COMMENT ON COLUMN meta.release_log.n_added IS 'Added. Analysed visits of the release that the publication before did not have; NULL where fewer than may be shown, here and below. [1]';
COMMENT ON COLUMN meta.release_log.n_changed IS 'Changed. Analysed visits with another value, covariate or release than in the publication before. [1]';
COMMENT ON COLUMN meta.release_log.n_dropped IS 'Dropped. Analysed visits of the release in the publication before that are no longer analysed. [1]';
COMMENT ON COLUMN meta.release_log.published_at IS 'Published at. UTC.';
