-- read_actions_on_ticket: up to ?2 actions on record after the position ?1, every field: those that were done to
-- the ticket with the id ?3 or the number ?4.
SELECT position, acted_at, actor, action, subject, details, address, request_id
FROM operator_actions
WHERE subject IN (?3, ?4) AND position > ?1
ORDER BY position
LIMIT ?2
