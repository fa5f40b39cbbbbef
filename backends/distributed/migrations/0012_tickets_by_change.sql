-- no-transaction
-- Lists by the last change, likewise.
CREATE INDEX CONCURRENTLY tickets_status_updated_at_idx ON tickets (status, updated_at, id);
