-- read_actions: up to $3 actions on record after the place ($1, $2), every field.
--
-- Only of transactions older than every one that still runs, as in read_events.
SELECT
    transaction_id::text::bigint AS transaction_id,
    position,
    acted_at,
    actor,
    action,
    subject,
    details::text AS details,
    address,
    request_id
FROM operator_actions
WHERE
    (transaction_id, position) > ($1::text::xid8, $2)
    AND transaction_id < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY operator_actions.transaction_id, position
LIMIT $3
