-- insert_idempotency_keys: takes those keys of a batch (?1, a JSON array of objects) that are free,
-- each for the first ticket under it.
--
-- Part of insert_tickets in Postgres.
INSERT INTO idempotency_keys (key_hash, ticket_id)
SELECT value ->> '$.key_hash', value ->> '$.id'
FROM json_each(?1)
WHERE value ->> '$.key_hash' IS NOT NULL
ORDER BY key
ON CONFLICT (key_hash) DO NOTHING
