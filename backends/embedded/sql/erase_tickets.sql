-- erase_tickets: takes every word of people's out of tickets (?1, a JSON array of objects), each on condition
-- that it still has the version at which it was seen, at the time ?2, and not before its last change. Returns
-- which.
--
-- In Postgres this and the statements after it are one; SQLite allows no UPDATE within a WITH.
UPDATE tickets
SET
    version = tickets.version + 1,
    name = '',
    email = '',
    message = '',
    user_id = NULL,
    user_agent = NULL,
    url = NULL,
    client_timestamp = '',
    -- Whoever changed it before may have another clock.
    updated_at = max(tickets.updated_at, ?2),
    erased_at = max(tickets.updated_at, ?2)
FROM json_each(?1) AS seen
WHERE
    tickets.id = seen.value ->> '$.id'
    AND tickets.version = seen.value ->> '$.version'
    AND tickets.erased_at IS NULL
RETURNING id
