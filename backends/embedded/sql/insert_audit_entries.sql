-- insert_audit_entries: the creation of the tickets just inserted (?1, a JSON array of ids).
--
-- Part of insert_tickets in Postgres.
INSERT INTO audit_entries (ticket_id, kind, status, at, actor, request_id, traceparent)
SELECT
    tickets.id, 'ticket.created', tickets.status, tickets.submitted_at, 'submitter',
    tickets.request_id, tickets.traceparent
FROM json_each(?1) AS inserted
JOIN tickets ON tickets.id = inserted.value
ORDER BY inserted.key
