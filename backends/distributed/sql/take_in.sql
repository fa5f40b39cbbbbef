-- take_in: takes in what the next $1 audit entries tell of, and says how many there were. One worker at a
-- time: another that wants to do the same has nothing to do, waits for nobody, and is told NULL.
--
-- A ticket is taken in when it is made: what it is searched by does not change. One that was erased is
-- forgotten, at the latest when the entry of its erasure is read.
WITH turn AS MATERIALIZED (
    -- Locked, the row is read anew: who comes after another goes on where that one ended.
    SELECT transaction_id, position
    FROM search_progress
    FOR UPDATE SKIP LOCKED
),
entries AS MATERIALIZED (
    SELECT transaction_id, position, ticket_id, kind
    FROM audit_entries
    WHERE
        (transaction_id, position) > ((SELECT transaction_id FROM turn), (SELECT position FROM turn))
        AND transaction_id < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY transaction_id, position
    LIMIT $1
),
taken_in AS (
    INSERT INTO ticket_search (ticket_id, place, email, document)
    SELECT
        tickets.id,
        entries.position,
        -- As people are told apart, whatever letters the database's own rules know.
        lower(tickets.email COLLATE "C"),
        setweight(to_tsvector('simple', plain.codes), 'A')
        || setweight(to_tsvector('simple', plain.name), 'B')
        || setweight(to_tsvector('simple', plain.message), 'C')
    FROM entries
    JOIN tickets ON tickets.id = entries.ticket_id
    -- Without the punctuation of ASCII, of which the parser would make addresses, paths and numbers. (A
    -- translate() would go through all 32 marks for each character.)
    CROSS JOIN LATERAL (SELECT '[!-/:-@[-`{-~]' AS marks) AS all_of
    CROSS JOIN LATERAL (
        SELECT
            regexp_replace(tickets.number || ' ' || tickets.email, marks, ' ', 'g') AS codes,
            regexp_replace(tickets.name, marks, ' ', 'g') AS name,
            regexp_replace(tickets.message, marks, ' ', 'g') AS message
    ) AS plain
    WHERE entries.kind = 'ticket.created' AND tickets.erased_at IS NULL
    ON CONFLICT DO NOTHING
),
forgotten AS (
    DELETE FROM ticket_search
    USING entries
    WHERE
        ticket_search.ticket_id = entries.ticket_id
        AND (
            entries.kind = 'ticket.erased'
            OR NOT EXISTS (SELECT FROM tickets WHERE tickets.id = entries.ticket_id)
        )
),
moved_on AS (
    UPDATE search_progress
    SET transaction_id = last.transaction_id, position = last.position
    FROM
        turn,
        (SELECT transaction_id, position FROM entries ORDER BY transaction_id DESC, position DESC LIMIT 1) AS last
    WHERE
        search_progress.transaction_id = turn.transaction_id
        AND search_progress.position = turn.position
)
SELECT CASE WHEN EXISTS (SELECT FROM turn) THEN count(*)::integer END AS count
FROM entries
