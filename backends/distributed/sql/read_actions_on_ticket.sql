-- read_actions_on_ticket: up to $3 actions on record after the place ($1, $2), every field: those that were done
-- to the ticket with the id $4 or the number $5.
--
-- As read_changes_of_ticket.
WITH found AS MATERIALIZED (
    SELECT *
    FROM operator_actions
    WHERE subject IN ($4, $5) AND transaction_id < pg_snapshot_xmin(pg_current_snapshot())
)
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
FROM found
WHERE (transaction_id, position) > ($1::text::xid8, $2)
ORDER BY found.transaction_id, position
LIMIT $3
