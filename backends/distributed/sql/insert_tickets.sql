-- insert_tickets: stores a batch, its keys, audit entries and statistics, and returns the ids that
-- were new. One statement is one transaction in one round trip, with nothing to cancel half-way.
-- (SQLite has no INSERT inside WITH: there the four parts are files of their own.)
WITH input AS (
    SELECT batch.*, erasure.erased_at
    FROM unnest(
        $1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
        $9::text[], $10::text[], $11::text[], $12::timestamptz[], $13::bytea[], $14::text[], $15::text[],
        $16::bytea[], $17::bytea[]
    ) WITH ORDINALITY AS batch (
        id, number, name, email, subject, message, priority, user_id,
        user_agent, url, client_timestamp, submitted_at, fingerprint, request_id, traceparent,
        key_hash, person, place
    )
    -- What was under way when its sender was erased. The lock on the row makes one on the table, which is
    -- taken before this statement sees anything: see forget_person. Lateral, with a limit, so that
    -- people are looked up and never scanned.
    LEFT JOIN LATERAL (
        SELECT erasures.erased_at
        FROM erasures
        WHERE erasures.person = batch.person AND erasures.erased_at >= batch.submitted_at
        LIMIT 1
        FOR KEY SHARE
    ) AS erasure ON true
),
keyed AS (
    -- Keys are taken first, each for the first submission under it. Whoever wants one that another
    -- transaction is taking waits for that one's end, so a key has one ticket however many try.
    -- The order here and below keeps those who wait from waiting in a circle.
    INSERT INTO idempotency_keys (key_hash, ticket_id)
    SELECT DISTINCT ON (key_hash) key_hash, id
    FROM input
    WHERE key_hash IS NOT NULL
    ORDER BY key_hash, place
    ON CONFLICT (key_hash) DO NOTHING
    RETURNING ticket_id
),
inserted AS (
    INSERT INTO tickets (
        id, number, name, email, subject, message, status, priority, user_id, user_agent, url,
        client_timestamp, submitted_at, updated_at, fingerprint, request_id, traceparent, erased_at
    )
    SELECT
        id,
        number,
        CASE WHEN erased_at IS NULL THEN name ELSE '' END,
        CASE WHEN erased_at IS NULL THEN email ELSE '' END,
        subject,
        CASE WHEN erased_at IS NULL THEN message ELSE '' END,
        'open',
        priority,
        CASE WHEN erased_at IS NULL THEN user_id END,
        CASE WHEN erased_at IS NULL THEN user_agent END,
        CASE WHEN erased_at IS NULL THEN url END,
        CASE WHEN erased_at IS NULL THEN client_timestamp ELSE '' END,
        submitted_at,
        submitted_at,
        fingerprint,
        request_id,
        traceparent,
        erased_at
    FROM input
    WHERE key_hash IS NULL OR id IN (SELECT ticket_id FROM keyed)
    ORDER BY id, place
    ON CONFLICT (id) DO NOTHING
    RETURNING id, subject, status, priority, submitted_at, request_id, traceparent
),
audited AS (
    INSERT INTO audit_entries (ticket_id, kind, status, at, actor, request_id, traceparent)
    SELECT id, 'ticket.created', status, submitted_at, 'submitter', request_id, traceparent
    FROM inserted
),
tallied AS (
    -- First into the few rows that most batches come to: each ticket counts in four places.
    SELECT status, priority, subject, to_char(day, 'YYYY-MM-DD') AS day, count(*) AS tickets
    FROM (
        SELECT status, priority, subject, (submitted_at AT TIME ZONE 'UTC')::date AS day
        FROM inserted
    ) AS dated
    GROUP BY status, priority, subject, dated.day
),
counted AS (
    -- The shard is the connection's: statements that run at the same time then seldom wait for
    -- each other's rows. The order keeps those that do from waiting in a circle.
    INSERT INTO statistics AS kept (dimension, value, shard, count)
    SELECT dimension, value, pg_backend_pid() % 16, sum(tickets)
    FROM
        tallied,
        LATERAL (
            VALUES ('status', status), ('priority', priority), ('subject', subject), ('created_on', day)
        ) AS counts (dimension, value)
    GROUP BY dimension, value
    ORDER BY dimension, value
    ON CONFLICT (dimension, value, shard) DO UPDATE SET count = kept.count + excluded.count
)
SELECT id FROM inserted
