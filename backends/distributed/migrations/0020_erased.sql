-- Tickets that were erased.

ALTER TABLE tickets ADD COLUMN erased_at timestamptz(3);
COMMENT ON COLUMN tickets.erased_at IS 'When every word of its submitter''s was taken out of it, if it was.';
