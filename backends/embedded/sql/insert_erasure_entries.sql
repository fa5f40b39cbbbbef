-- insert_erasure_entries: that the tickets ?1 (a JSON array of ids) were erased; at ?2, by ?3, by the
-- request ?4 with the trace context ?5, from the address ?6.
--
-- Part of erase_tickets in Postgres.
INSERT INTO audit_entries (
    ticket_id, version, kind, at, actor, address, request_id, traceparent, changes
)
SELECT tickets.id, tickets.version, 'ticket.erased', ?2, ?3, ?6, ?4, ?5, '{}'
FROM json_each(?1) AS erased
JOIN tickets ON tickets.id = erased.value
