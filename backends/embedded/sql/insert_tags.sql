-- insert_tags: files tickets under what steps (?1, a JSON array) want.
--
-- Part of commit_steps in Postgres.
INSERT INTO ticket_tags (tag, submitted_at, ticket_id)
SELECT added.value, step.value ->> '$.submitted_at', step.value ->> '$.id'
FROM json_each(?1) AS step, json_each(step.value, '$.tags_added') AS added
WHERE true
ON CONFLICT DO NOTHING
