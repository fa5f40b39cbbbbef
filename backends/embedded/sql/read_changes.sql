-- read_changes: up to ?2 changes of tickets on record after the position ?1, every field.
SELECT
    position, ticket_id, version, kind, status, at, actor, address, request_id, traceparent, changes
FROM audit_entries
WHERE position > ?1
ORDER BY position
LIMIT ?2
