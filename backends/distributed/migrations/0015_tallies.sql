-- What is counted of tickets by time and by member of staff.
--
-- A table of its own: an audit of the release before takes what it does not know in `statistics` for wrong.

CREATE TABLE tallies (
    dimension text        NOT NULL,
    value     text        COLLATE "C" NOT NULL,
    shard     smallint    NOT NULL,
    amount    bigint      NOT NULL,
    CONSTRAINT tallies_pkey PRIMARY KEY (dimension, value, shard)
) WITH (fillfactor = 50); -- every batch updates a row of the present quarter of an hour in place
COMMENT ON TABLE tallies IS 'Sums over tickets, kept in the transactions that change them.';
COMMENT ON COLUMN tallies.dimension IS 'submitted_in, resolved_in: tickets of a quarter of an hour. response_time, resolution_time: of a day and range of durations. response_ms, resolution_ms: durations of a day. resolved_by, resolution_ms_by: both of a day and member. settled_on: resolved or closed ones by day of submission. assigned: unresolved ones by member. revised: changes of a day that was over.';
COMMENT ON COLUMN tallies.value IS 'YYYY-MM-DDTHH:MMZ, YYYY-MM-DD/RANGE, YYYY-MM-DD, YYYY-MM-DD/NAME or NAME; all of UTC.';
COMMENT ON COLUMN tallies.shard IS 'Spreads writers over rows; the amount is the sum over shards.';
COMMENT ON COLUMN tallies.amount IS 'Tickets, or milliseconds; one shard alone may be negative.';

-- The name of the quarter of an hour that a time belongs to.
CREATE FUNCTION quarter_of(at timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT to_char(date_bin('15 minutes', at, 'epoch') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"')
$$;

CREATE FUNCTION tally_submissions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Names cost more than sums: a batch falls into one quarter of an hour, or two.
    INSERT INTO tallies AS kept (dimension, value, shard, amount)
    SELECT dimension, value, pg_backend_pid() % 16, sum(amount)
    FROM
        (
            SELECT date_bin('15 minutes', submitted_at, 'epoch') AS quarter, count(*) AS tickets
            FROM added
            GROUP BY quarter
        ) AS quarters,
        LATERAL (
            VALUES
                ('submitted_in', quarter_of(quarter), tickets),
                (
                    'revised',
                    CASE
                        WHEN quarter < date_trunc('day', now(), 'UTC')
                            THEN to_char(quarter AT TIME ZONE 'UTC', 'YYYY-MM-DD')
                    END,
                    1
                )
        ) AS tally (dimension, value, amount)
    WHERE value IS NOT NULL
    GROUP BY dimension, value
    ORDER BY dimension, value
    ON CONFLICT (dimension, value, shard) DO UPDATE SET amount = kept.amount + excluded.amount;
    RETURN NULL;
END
$$;

-- Whoever inserts tickets: the release before does not know of these.
CREATE TRIGGER tickets_are_tallied AFTER INSERT ON tickets
REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION tally_submissions();

-- Making the trigger has waited for everybody who was writing to the table, and keeps others from it until
-- this is committed. So those who wrote tickets before it have ended, and those who will are not in here.
INSERT INTO installation (name, value) VALUES ('tallied_since', pg_current_snapshot()::text);
COMMENT ON COLUMN installation.name IS 'number_key_fingerprint, schema_floor, or tallied_since: a snapshot, whose transactions have written tickets before they were tallied.';
