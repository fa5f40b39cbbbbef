-- read_events: up to ?2 audit entries after the position ?1, with their tickets.
--
-- Entries of an erased ticket come without one, since they count as read.
SELECT
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
    entries.changes,
    tickets.number,
    tickets.name,
    tickets.email,
    tickets.subject,
    tickets.priority,
    tickets.submitted_at
FROM (
    SELECT *
    FROM audit_entries
    WHERE position > ?1
    ORDER BY position
    LIMIT ?2
) AS entries
LEFT JOIN tickets ON tickets.id = entries.ticket_id
ORDER BY entries.position
