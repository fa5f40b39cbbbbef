-- audit_outbox_head: the position of the last audit entry there is.
SELECT position
FROM audit_entries
ORDER BY position DESC
LIMIT 1
