-- read_actions: up to ?2 actions on record after the position ?1, every field.
SELECT position, acted_at, actor, action, subject, details, address, request_id
FROM operator_actions
WHERE position > ?1
ORDER BY position
LIMIT ?2
