-- no-transaction
-- Lists by submission. The status leads: a list of several is put together of one for each.
CREATE INDEX CONCURRENTLY tickets_status_submitted_at_idx ON tickets (status, submitted_at, id);
