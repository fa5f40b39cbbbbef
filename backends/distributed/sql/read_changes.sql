-- read_changes: up to $3 changes of tickets on record after the place ($1, $2), every field.
--
-- Only of transactions older than every one that still runs, as in read_events.
SELECT
    transaction_id::text::bigint AS transaction_id,
    position,
    ticket_id::text AS ticket_id,
    version::bigint AS version,
    kind,
    status,
    at,
    actor,
    address,
    request_id,
    traceparent,
    changes::text AS changes
FROM audit_entries
WHERE
    (transaction_id, position) > ($1::text::xid8, $2)
    AND transaction_id < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY audit_entries.transaction_id, position
LIMIT $3
