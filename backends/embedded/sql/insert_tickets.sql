-- insert_tickets: stores those of a batch (?1, a JSON array of objects) whose id is new and whose key,
-- if there is one, is theirs.
--
-- In Postgres this, insert_idempotency_keys before it, insert_audit_entries and add_statistics are
-- one statement; SQLite allows no INSERT within a WITH, so here they are four in one transaction.
-- json_each keeps the order of the batch, so of two with the same id the first is stored.
INSERT INTO tickets (
    id, number, name, email, subject, message, status, priority, user_id, user_agent, url,
    client_timestamp, submitted_at, updated_at, resolved_at, fingerprint, request_id, traceparent
)
SELECT
    value ->> '$.id',
    value ->> '$.number',
    value ->> '$.name',
    value ->> '$.email',
    value ->> '$.subject',
    value ->> '$.message',
    'open',
    value ->> '$.priority',
    value ->> '$.user_id',
    value ->> '$.user_agent',
    value ->> '$.url',
    value ->> '$.client_timestamp',
    value ->> '$.submitted_at',
    value ->> '$.submitted_at',
    NULL,
    unhex(value ->> '$.fingerprint'),
    value ->> '$.request_id',
    value ->> '$.traceparent'
FROM json_each(?1)
WHERE
    value ->> '$.key_hash' IS NULL
    OR EXISTS (
        SELECT 1
        FROM idempotency_keys
        WHERE key_hash = value ->> '$.key_hash' AND ticket_id = value ->> '$.id'
    )
ON CONFLICT (id) DO NOTHING
RETURNING id
