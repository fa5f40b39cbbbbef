-- status_history: every status a ticket had, in order.
SELECT version, status, at
FROM audit_entries
WHERE ticket_id = $1 AND status IS NOT NULL
ORDER BY version
