-- insert_erasure_entries: that the tickets ?1 (a JSON array of ids) were erased just now, by ?2, by the
-- request ?3 with the trace context ?4, from the address ?5.
--
-- Part of erase_tickets in Postgres.
INSERT INTO audit_entries (
    ticket_id, version, kind, at, actor, address, request_id, traceparent, changes
)
SELECT tickets.id, tickets.version, 'ticket.erased', tickets.updated_at, ?2, ?5, ?3, ?4, '{}'
FROM json_each(?1) AS erased
JOIN tickets ON tickets.id = erased.value
