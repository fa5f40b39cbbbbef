-- read_events: up to $3 audit entries after the place ($1, $2), with their tickets.
--
-- Only of transactions older than every one that still runs: a younger one may commit first, and
-- reading on behind it would leave out what commits later. Entries of an erased ticket come without
-- one, since they count as read.
SELECT
    entries.transaction_id::text::bigint AS transaction_id,
    entries.position,
    entries.ticket_id,
    entries.version,
    entries.kind,
    -- Of a change that is none of status, the one that the ticket had then.
    coalesce(
        entries.status,
        (
            SELECT earlier.status
            FROM audit_entries AS earlier
            WHERE
                earlier.ticket_id = entries.ticket_id
                AND earlier.version < entries.version
                AND earlier.status IS NOT NULL
            ORDER BY earlier.version DESC
            LIMIT 1
        )
    ) AS status,
    entries.at,
    entries.request_id,
    entries.traceparent,
    entries.changes::text AS changes,
    tickets.number,
    tickets.name,
    tickets.email,
    tickets.subject,
    tickets.priority,
    tickets.submitted_at
FROM (
    SELECT *
    FROM audit_entries
    WHERE
        (transaction_id, position) > ($1::text::xid8, $2)
        AND transaction_id < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY transaction_id, position
    LIMIT $3
) AS entries
LEFT JOIN tickets ON tickets.id = entries.ticket_id
ORDER BY entries.transaction_id, entries.position
