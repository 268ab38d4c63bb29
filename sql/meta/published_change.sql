-- How published numbers moved from one publication to the next.
CREATE TABLE IF NOT EXISTS meta.published_change (
    snapshot VARCHAR NOT NULL,
    former VARCHAR NOT NULL,
    table_name VARCHAR NOT NULL,
    column_name VARCHAR NOT NULL,
    n_new INTEGER NOT NULL,
    n_gone INTEGER NOT NULL,
    n_moved INTEGER NOT NULL,
    largest_change DOUBLE,
    cell VARCHAR,
    former_value DOUBLE,
    value DOUBLE
);
COMMENT ON TABLE meta.published_change IS 'Published change. One row per publication, published table and column whose numbers moved, came or went; counts are of cells, never of persons.';
COMMENT ON COLUMN meta.published_change.snapshot IS 'Snapshot. Stamp of the publication.';
COMMENT ON COLUMN meta.published_change.former IS 'Former. Stamp of the publication before.';
COMMENT ON COLUMN meta.published_change.table_name IS 'Table. Of the aggregate file.';
COMMENT ON COLUMN meta.published_change.column_name IS 'Column. Its unit is that of the column.';
COMMENT ON COLUMN meta.published_change.n_new IS 'New cells. Shown now and not before. [1]';
COMMENT ON COLUMN meta.published_change.n_gone IS 'Gone cells. Shown before and not now. [1]';
COMMENT ON COLUMN meta.published_change.n_moved IS 'Moved cells. By over 1e-9 of their value. [1]';
COMMENT ON COLUMN meta.published_change.largest_change IS 'Largest change. Largest difference by size, with its sign, in the unit of the column; NULL where no cell moved.';
COMMENT ON COLUMN meta.published_change.cell IS 'Cell. Where the largest change is.';
COMMENT ON COLUMN meta.published_change.former_value IS 'Former value. Of that cell, in the unit of the column.';
COMMENT ON COLUMN meta.published_change.value IS 'Value. Of that cell, in the unit of the column.';
