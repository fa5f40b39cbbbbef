-- commit_steps: what staff want of tickets ($1, a JSON array of steps), each on condition that its ticket
-- still has the version it was seen at. Returns the places of those that took effect; with $2 either all do
-- or the statement fails.
--
-- One statement, and so one snapshot that is older than its transaction's id: whoever has seen a change is
-- of a later transaction than the one that made it. (SQLite has no UPDATE within WITH: there the parts are
-- files of their own.)
WITH steps AS (
    SELECT
        (given.place - 1)::integer AS place,
        step.*
    FROM
        json_array_elements($1::json) WITH ORDINALITY AS given (step, place),
        json_to_record(given.step) AS step (
            id uuid, seen integer, version integer, status text, updated_at timestamptz(3),
            resolved_at timestamptz(3), assignee text, first_reply_at timestamptz(3),
            first_response_at timestamptz(3), submitted_at timestamptz(3), actor text, address text,
            request_id text, traceparent text, entries json, post json, tags_added json,
            tags_removed json, counts json, tallies json
        )
),
locked AS MATERIALIZED (
    -- In one order: those who want some of the same tickets do not wait in a circle.
    SELECT tickets.id, tickets.version
    FROM tickets
    WHERE id IN (SELECT id FROM steps)
    ORDER BY id
    FOR UPDATE
),
changed AS (
    UPDATE tickets
    SET
        version = steps.version,
        status = steps.status,
        updated_at = steps.updated_at,
        resolved_at = steps.resolved_at,
        assignee = steps.assignee,
        first_reply_at = steps.first_reply_at,
        first_response_at = steps.first_response_at
    FROM steps
    JOIN locked ON locked.id = steps.id AND locked.version = steps.seen
    WHERE tickets.id = steps.id AND tickets.version = steps.seen
    RETURNING steps.place
),
taken AS (
    SELECT steps.*
    FROM steps
    JOIN changed USING (place)
),
audited AS (
    INSERT INTO audit_entries (
        ticket_id, version, kind, status, at, actor, address, request_id, traceparent, changes
    )
    SELECT
        id, entry.version, entry.kind, entry.status, updated_at, actor, address, request_id, traceparent,
        entry.changes::json
    FROM
        taken,
        json_to_recordset(entries) AS entry (version integer, kind text, status text, changes text)
    ORDER BY place, entry.version
),
posted AS (
    INSERT INTO ticket_posts (ticket_id, version, kind, author, body, at)
    SELECT id, post.version, post.kind, post.author, post.body, updated_at
    FROM taken, json_to_record(taken.post) AS post (version integer, kind text, author text, body text)
    WHERE json_typeof(taken.post) = 'object'
),
untagged AS (
    DELETE FROM ticket_tags
    USING taken, json_array_elements_text(tags_removed) AS removed (tag)
    WHERE
        ticket_tags.tag = removed.tag
        AND ticket_tags.submitted_at = taken.submitted_at
        AND ticket_tags.ticket_id = taken.id
),
tagged AS (
    INSERT INTO ticket_tags (tag, submitted_at, ticket_id)
    SELECT added.tag, submitted_at, id
    FROM taken, json_array_elements_text(tags_added) AS added (tag)
    ON CONFLICT DO NOTHING
),
counted AS (
    INSERT INTO statistics AS kept (dimension, value, shard, count)
    SELECT count.dimension, count.value, pg_backend_pid() % 16, sum(count.change)
    FROM taken, json_to_recordset(counts) AS count (dimension text, value text, change bigint)
    GROUP BY count.dimension, count.value
    ORDER BY count.dimension, count.value
    ON CONFLICT (dimension, value, shard) DO UPDATE SET count = kept.count + excluded.count
    RETURNING dimension
),
tallied AS (
    -- After the counts, as whoever inserts tickets does it: so they do not wait in a circle.
    INSERT INTO tallies AS kept (dimension, value, shard, amount)
    SELECT tally.dimension, tally.value, pg_backend_pid() % 16, sum(tally.change)
    FROM taken, json_to_recordset(taken.tallies) AS tally (dimension text, value text, change bigint)
    WHERE (SELECT count(*) FROM counted) >= 0
    GROUP BY tally.dimension, tally.value
    ORDER BY tally.dimension, tally.value
    ON CONFLICT (dimension, value, shard) DO UPDATE SET amount = kept.amount + excluded.amount
)
SELECT place
FROM changed
UNION ALL
SELECT -1
WHERE
    CASE
        WHEN $2 AND (SELECT count(*) FROM changed) < (SELECT count(*) FROM steps)
            THEN refuse_stale() IS NULL
        ELSE false
    END
