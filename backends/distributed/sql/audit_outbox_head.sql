-- audit_outbox_head: the place of the last audit entry there is, and whether places are ahead of this
-- server's transactions: then they come from another server.
SELECT
    audit_entries.transaction_id::text::bigint AS transaction_id,
    audit_entries.position,
    greatest(audit_entries.transaction_id, relay.transaction_id)
        >= pg_snapshot_xmax(pg_current_snapshot()) AS is_foreign
FROM audit_entries, relay
ORDER BY audit_entries.transaction_id DESC, audit_entries.position DESC
LIMIT 1
