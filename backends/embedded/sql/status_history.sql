-- status_history: every status of the ticket with the id ?1, the first one first.
SELECT version, status, at
FROM audit_entries
WHERE ticket_id = ?1 AND status IS NOT NULL
ORDER BY version
