-- insert_tickets: stores those of a batch (?1, a JSON array of objects) whose id is new and whose key,
-- if there is one, is theirs.
--
-- In Postgres this, insert_idempotency_keys before it, insert_audit_entries and add_statistics are
-- one statement; SQLite allows no INSERT within a WITH, so here they are four in one transaction.
-- json_each keeps the order of the batch, so of two with the same id the first is stored.
INSERT INTO tickets (
    id, number, name, email, subject, message, status, priority, user_id, user_agent, url,
    client_timestamp, submitted_at, updated_at, resolved_at, fingerprint, request_id, traceparent,
    erased_at
)
SELECT
    value ->> '$.id',
    value ->> '$.number',
    CASE WHEN erased_at IS NULL THEN value ->> '$.name' ELSE '' END,
    CASE WHEN erased_at IS NULL THEN value ->> '$.email' ELSE '' END,
    value ->> '$.subject',
    CASE WHEN erased_at IS NULL THEN value ->> '$.message' ELSE '' END,
    'open',
    value ->> '$.priority',
    CASE WHEN erased_at IS NULL THEN value ->> '$.user_id' END,
    CASE WHEN erased_at IS NULL THEN value ->> '$.user_agent' END,
    CASE WHEN erased_at IS NULL THEN value ->> '$.url' END,
    CASE WHEN erased_at IS NULL THEN value ->> '$.client_timestamp' ELSE '' END,
    value ->> '$.submitted_at',
    value ->> '$.submitted_at',
    NULL,
    unhex(value ->> '$.fingerprint'),
    value ->> '$.request_id',
    value ->> '$.traceparent',
    erased_at
FROM json_each(?1)
-- What was under way when its sender was erased.
LEFT JOIN erasures
    ON erasures.person = value ->> '$.person' AND erasures.erased_at >= value ->> '$.submitted_at'
WHERE
    value ->> '$.key_hash' IS NULL
    OR EXISTS (
        SELECT 1
        FROM idempotency_keys
        WHERE key_hash = value ->> '$.key_hash' AND ticket_id = value ->> '$.id'
    )
ON CONFLICT (id) DO NOTHING
RETURNING id
