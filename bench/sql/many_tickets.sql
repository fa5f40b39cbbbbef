-- many_tickets: the tickets from the $1-th to the $2-th of last year, ten a second, with what a worker
-- writes beside them. Numbers are scattered as the product's are: by a permutation, here of multiplication
-- by a number that has no factor in common with ten.
WITH made AS (
    SELECT
        (
            lpad(to_hex((extract(EPOCH FROM at) * 1000)::bigint), 12, '0') || '7'
            || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15)
        )::uuid AS id,
        'SUP-2025-' || lpad(((n * 48271 + 12345) % 100000000)::text, 8, '0') AS number,
        n,
        at::timestamptz(3) AS at,
        (ARRAY['technical', 'billing', 'feature', 'account', 'general'])[1 + n % 5] AS subject,
        (ARRAY['high', 'medium', 'low', 'medium', 'low'])[1 + n % 5] AS priority
    FROM (
        SELECT n, '2025-01-01T00:00:00Z'::timestamptz + n * interval '0.1 second' AS at
        FROM generate_series($1::bigint, $2::bigint) AS n
    ) AS numbered
),
inserted AS (
    INSERT INTO tickets (
        id, number, name, email, subject, message, status, priority, user_id, user_agent, url,
        client_timestamp, submitted_at, updated_at, fingerprint, request_id, traceparent
    )
    SELECT
        id, number, 'Ada Lovelace', 'ada.' || n || '@example.org', subject,
        'The engine has stopped again, number ' || n || '. It was at work on the numbers of Bernoulli when '
        || 'it did, and nobody had touched it.',
        'open', priority, 'user-' || n, 'Mozilla/5.0 (X11; Linux x86_64)', 'https://www.example.org/support',
        '2025-01-01T10:30:00.000Z', at, at, decode(md5(n::text), 'hex'), md5(n::text),
        '00-' || md5(n::text) || '-' || substr(md5(n::text), 1, 16) || '-01'
    FROM made
),
audited AS (
    -- Before the first place of the outbox: their events were published long ago.
    INSERT INTO audit_entries (
        position, ticket_id, kind, status, at, actor, request_id, traceparent, transaction_id
    )
    OVERRIDING SYSTEM VALUE
    SELECT
        -1 - n, id, 'ticket.created', 'open', at, 'submitter', md5(n::text),
        '00-' || md5(n::text) || '-' || substr(md5(n::text), 1, 16) || '-01', '0'
    FROM made
),
counted AS (
    SELECT dimension, value, count(*) AS count
    FROM
        made,
        LATERAL (
            VALUES
                ('status', 'open'),
                ('priority', priority),
                ('subject', subject),
                ('created_on', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD'))
        ) AS counts (dimension, value)
    GROUP BY dimension, value
)
INSERT INTO statistics AS kept (dimension, value, shard, count)
SELECT dimension, value, 0, count
FROM counted
ON CONFLICT (dimension, value, shard) DO UPDATE SET count = kept.count + excluded.count
