-- Every column of this file, from the comments of its tables.
CREATE TABLE IF NOT EXISTS meta.data_dictionary (
    table_name VARCHAR NOT NULL,
    column_name VARCHAR NOT NULL,
    data_type VARCHAR NOT NULL,
    label VARCHAR NOT NULL,
    details VARCHAR,
    unit VARCHAR,
    position INTEGER NOT NULL
);
COMMENT ON TABLE meta.data_dictionary IS 'Data dictionary. Filled at publication.';
COMMENT ON COLUMN meta.data_dictionary.table_name IS 'Table. schema.table.';
COMMENT ON COLUMN meta.data_dictionary.column_name IS 'Column. Its name.';
COMMENT ON COLUMN meta.data_dictionary.data_type IS 'Type. In DuckDB.';
COMMENT ON COLUMN meta.data_dictionary.label IS 'Label. As shown to people.';
COMMENT ON COLUMN meta.data_dictionary.details IS 'Details. Definition and formula.';
COMMENT ON COLUMN meta.data_dictionary.unit IS 'Unit. NULL where the column has none.';
COMMENT ON COLUMN meta.data_dictionary.position IS 'Position. Of the column in its table. [1]';
