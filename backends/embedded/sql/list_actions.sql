-- list_actions: up to ?1 actions on record, the latest first.
SELECT acted_at, actor, action, subject, details, address, request_id
FROM operator_actions
ORDER BY position DESC
LIMIT ?1
