-- Reasons for which a reader rejects, in the order of the review page's keys.
CREATE TABLE IF NOT EXISTS ref.review_reason (
    reason VARCHAR NOT NULL,
    label VARCHAR NOT NULL,
    position INTEGER NOT NULL
);
COMMENT ON TABLE ref.review_reason IS 'Review reason. Why a reader rejects a case or a muscle.';
COMMENT ON COLUMN ref.review_reason.reason IS 'Reason. Its name.';
COMMENT ON COLUMN ref.review_reason.label IS 'Label. As shown to people.';
COMMENT ON COLUMN ref.review_reason.position IS 'Position. Order, and the key on the review page. [1]';

FROM (VALUES
    ('segmentation', 'Mask wrong', 1),
    ('junction', 'Psoas takes in the iliacus', 2),
    ('swap', 'Fat and water exchanged', 3),
    ('artefact', 'Artefact or noise', 4),
    ('field_of_view', 'Cut by the field of view', 5),
    ('orientation', 'Sides or orientation wrong', 6),
    ('other', 'Other', 7)
) AS review_reason (reason, label, position);
