-- Lists by the last change, likewise.
CREATE INDEX tickets_updated_at_idx ON tickets (updated_at, id);
