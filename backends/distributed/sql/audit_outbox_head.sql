-- audit_outbox_head: the place of the last audit entry there is.
SELECT transaction_id::text::bigint AS transaction_id, position
FROM audit_entries
ORDER BY audit_entries.transaction_id DESC, position DESC
LIMIT 1
