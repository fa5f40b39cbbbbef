-- The tickets from the $1-th to the $2-th of last year, a second apart, as workers would have stored them
-- and staff changed them: most are closed. Each has the word `engine`, one in a hundred thousand `obelisk`,
-- and twelve words of five thousand, some of which are common and most rare.
WITH made AS (
    SELECT
        n,
        (
            lpad(to_hex((extract(EPOCH FROM at) * 1000)::bigint), 12, '0') || '7'
            || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15)
        )::uuid AS id,
        'SUP-2025-' || lpad(((n::bigint * 48271 + 12345) % 100000000)::text, 8, '0') AS number,
        at::timestamptz(3) AS at,
        (ARRAY['technical', 'billing', 'feature', 'account', 'general'])[1 + n % 5] AS subject,
        (ARRAY['high', 'medium', 'low', 'medium', 'low'])[1 + n % 5] AS priority,
        CASE WHEN n % 100 = 7 THEN 'open' WHEN n % 1000 = 8 THEN 'in-progress' WHEN n % 20 = 3 THEN 'resolved' ELSE 'closed' END
            AS status,
        (
            SELECT string_agg('w' || (5000 * power(('x' || substr(md5(n || '.' || w), 1, 8))::bit(32)::bigint / 4294967296.0, 3))::integer, ' ')
            FROM generate_series(1, 12) AS w
        ) AS words
    FROM (
        SELECT n, '2025-01-01T00:00:00Z'::timestamptz + n * interval '1 second' AS at
        FROM generate_series($1::bigint, $2::bigint) AS n
    ) AS numbered
),
inserted AS (
    INSERT INTO tickets (
        id, number, name, email, subject, message, status, priority, client_timestamp, submitted_at,
        updated_at, fingerprint, request_id, traceparent, assignee
    )
    SELECT
        id, number, 'Ada Lovelace', 'ada.' || n || '@example.org', subject,
        'The engine has stopped again, number ' || n || '. ' || words
        || CASE WHEN n % 100000 = 17 THEN ' obelisk' ELSE '' END,
        status, priority, '2025-01-01T10:30:00.000Z', at, at + (n % 86400) * interval '1 second',
        decode(md5(n::text), 'hex'), md5(n::text),
        '00-' || md5(n::text) || '-' || substr(md5(n::text), 1, 16) || '-01',
        CASE WHEN n % 5000 = 8 THEN 'Grace' WHEN n % 2 = 1 THEN 'Charles' END
    FROM made
)
INSERT INTO audit_entries (ticket_id, kind, status, at, actor, request_id, traceparent)
SELECT
    id, 'ticket.created', 'open', at, 'submitter', md5(n::text),
    '00-' || md5(n::text) || '-' || substr(md5(n::text), 1, 16) || '-01'
FROM made
ORDER BY n
