-- What is counted of tickets by time and by member of staff.
--
-- A table of its own: an audit of the release before takes what it does not know in `statistics` for wrong.

CREATE TABLE tallies (
    -- submitted_in, resolved_in: tickets of a quarter of an hour. response_time, resolution_time: of a day and
    -- range of durations. response_ms, resolution_ms: durations of a day. resolved_by, resolution_ms_by: both
    -- of a day and member. settled_on: resolved or closed ones by day of submission. assigned: unresolved ones
    -- by member. revised: changes of a day that was over.
    dimension TEXT NOT NULL,
    -- YYYY-MM-DDTHH:MMZ, YYYY-MM-DD/RANGE, YYYY-MM-DD, YYYY-MM-DD/NAME or NAME; all of UTC.
    value TEXT NOT NULL,
    -- Always 0: shards keep writers from waiting for one row, and SQLite has one writer anyway.
    shard INTEGER NOT NULL,
    -- Tickets, or milliseconds.
    amount INTEGER NOT NULL,
    CONSTRAINT tallies_pkey PRIMARY KEY (dimension, value, shard)
) STRICT, WITHOUT ROWID;

-- Whoever inserts tickets: the release before does not know of these.
CREATE TRIGGER tickets_are_tallied AFTER INSERT ON tickets
BEGIN
    INSERT INTO tallies (dimension, value, shard, amount)
    VALUES (
        'submitted_in',
        substr(NEW.submitted_at, 1, 14) || printf('%02d', substr(NEW.submitted_at, 15, 2) / 15 * 15) || 'Z',
        0,
        1
    )
    ON CONFLICT (dimension, value, shard) DO UPDATE SET amount = amount + 1;

    INSERT INTO tallies (dimension, value, shard, amount)
    SELECT 'revised', substr(NEW.submitted_at, 1, 10), 0, 1
    WHERE substr(NEW.submitted_at, 1, 10) < date('now')
    ON CONFLICT (dimension, value, shard) DO UPDATE SET amount = amount + 1;
END;
