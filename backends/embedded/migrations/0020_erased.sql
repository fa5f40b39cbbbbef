-- Tickets that were erased.

-- When every word of its submitter's was taken out of it, if it was.
ALTER TABLE tickets ADD COLUMN erased_at TEXT;
