-- read_events: up to ?2 audit entries after the position ?1, with their tickets.
--
-- Entries of an erased ticket come without one, since they count as read.
SELECT
    entries.position,
    entries.ticket_id,
    entries.version,
    entries.kind,
    coalesce(entries.status, tickets.status) AS status,
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
