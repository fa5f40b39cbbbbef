-- erase_tickets: takes every word of people's out of tickets ($1), each on condition that it still has the
-- version at which it was seen ($2); at $3, and not before its last change, by $4, by the request $5 with the
-- trace context $6, from the address $7. Returns which.
--
-- One statement, for the reasons that commit_steps gives. (SQLite has no UPDATE within WITH: there the parts
-- are files of their own.)
WITH seen AS (
    SELECT *
    FROM unnest($1::uuid[], $2::integer[]) AS seen (id, version)
),
locked AS MATERIALIZED (
    -- In one order: those who want some of the same tickets do not wait in a circle.
    SELECT tickets.id, tickets.version
    FROM tickets
    WHERE id IN (SELECT id FROM seen)
    ORDER BY id
    FOR UPDATE
),
erased AS (
    UPDATE tickets
    SET
        version = tickets.version + 1,
        name = '',
        email = '',
        message = '',
        user_id = NULL,
        user_agent = NULL,
        url = NULL,
        client_timestamp = '',
        -- Whoever changed it before may have another clock.
        updated_at = greatest(tickets.updated_at, $3),
        erased_at = greatest(tickets.updated_at, $3)
    FROM seen
    JOIN locked ON locked.id = seen.id AND locked.version = seen.version
    WHERE tickets.id = seen.id AND tickets.version = seen.version AND tickets.erased_at IS NULL
    RETURNING tickets.id, tickets.version, tickets.updated_at
),
audited AS (
    INSERT INTO audit_entries (
        ticket_id, version, kind, at, actor, address, request_id, traceparent, changes
    )
    SELECT id, version, 'ticket.erased', updated_at, $4, $7, $5, $6, '{}'
    FROM erased
),
unposted AS (
    UPDATE ticket_posts
    SET body = ''
    FROM erased
    WHERE ticket_posts.ticket_id = erased.id
),
untagged AS (
    DELETE FROM ticket_tags
    USING erased
    WHERE ticket_tags.ticket_id = erased.id
),
unsearched AS (
    -- What is taken in meanwhile goes when the entry above is read.
    DELETE FROM ticket_search
    USING erased
    WHERE ticket_search.ticket_id = erased.id
)
SELECT id FROM erased
