-- read_changes_of_ticket: up to ?2 changes of the ticket ?3 on record after the position ?1, every field.
SELECT
    position, ticket_id, version, kind, status, at, actor, address, request_id, traceparent, changes
FROM audit_entries
WHERE ticket_id = ?3 AND position > ?1
ORDER BY position
LIMIT ?2
