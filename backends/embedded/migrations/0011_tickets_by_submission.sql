-- Lists by submission. In Postgres the status leads, and a list of several is put together of one for each;
-- SQLite knows no such walk, and passes over tickets of another status.
CREATE INDEX tickets_submitted_at_idx ON tickets (submitted_at, id);
