-- read_changes_of_ticket: up to $3 changes of the ticket $4 on record after the place ($1, $2), every field.
--
-- Only of transactions older than every one that still runs, as in read_events. Those of one ticket are few:
-- they are found first, so that the order and the limit do not have all others looked through.
WITH found AS MATERIALIZED (
    SELECT *
    FROM audit_entries
    WHERE ticket_id = $4 AND transaction_id < pg_snapshot_xmin(pg_current_snapshot())
)
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
FROM found
WHERE (transaction_id, position) > ($1::text::xid8, $2)
ORDER BY found.transaction_id, position
LIMIT $3
