-- take_in: takes in the tickets whose making is on record up to the position ?1. A ticket is taken in when it
-- is made: what it is searched by does not change.
INSERT INTO ticket_search (place, ticket_id, email)
SELECT audit_entries.position, tickets.id, lower(tickets.email)
FROM audit_entries
JOIN tickets ON tickets.id = audit_entries.ticket_id
WHERE
    audit_entries.position > (SELECT position FROM search_progress)
    AND audit_entries.position <= ?1
    AND audit_entries.kind = 'ticket.created'
    AND tickets.erased_at IS NULL
ON CONFLICT DO NOTHING
