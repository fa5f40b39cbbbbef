-- delete_tags: takes tickets out of where steps (?1, a JSON array) want them no more.
--
-- Part of commit_steps in Postgres.
DELETE FROM ticket_tags
WHERE (tag, submitted_at, ticket_id) IN (
    SELECT removed.value, step.value ->> '$.submitted_at', step.value ->> '$.id'
    FROM json_each(?1) AS step, json_each(step.value, '$.tags_removed') AS removed
)
