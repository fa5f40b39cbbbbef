-- insert_posts: what steps (?1, a JSON array) put into their tickets' threads.
--
-- Part of commit_steps in Postgres.
INSERT INTO ticket_posts (ticket_id, version, kind, author, body, at)
SELECT
    value ->> '$.id',
    value ->> '$.post.version',
    value ->> '$.post.kind',
    value ->> '$.post.author',
    value ->> '$.post.body',
    value ->> '$.updated_at'
FROM json_each(?1)
WHERE value ->> '$.post.version' IS NOT NULL
