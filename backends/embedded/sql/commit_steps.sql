-- commit_steps: brings tickets to what steps (?1, a JSON array) want, each on condition that its ticket
-- still has the version it was seen at, and returns the ids of those that took effect.
--
-- In Postgres this and the statements after it are one; SQLite allows no UPDATE within a WITH.
UPDATE tickets
SET
    version = step.value ->> '$.version',
    status = step.value ->> '$.status',
    updated_at = step.value ->> '$.updated_at',
    resolved_at = step.value ->> '$.resolved_at',
    assignee = step.value ->> '$.assignee',
    first_reply_at = step.value ->> '$.first_reply_at',
    first_response_at = step.value ->> '$.first_response_at'
FROM json_each(?1) AS step
WHERE tickets.id = step.value ->> '$.id' AND tickets.version = step.value ->> '$.seen'
RETURNING id
