-- audit_statistics: every count that differs from a recount of the tickets, in one snapshot.
WITH recounted AS (
    SELECT dimension, value, count(*) AS count
    FROM
        tickets,
        LATERAL (
            VALUES
                ('status', status),
                ('priority', priority),
                ('subject', subject),
                ('created_on', to_char(submitted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')),
                ('resolved_on', to_char(resolved_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'))
        ) AS counts (dimension, value)
    WHERE value IS NOT NULL
    GROUP BY dimension, value
),
kept AS (
    SELECT dimension, value, sum(count)::bigint AS count
    FROM statistics
    GROUP BY dimension, value
)
SELECT
    dimension,
    value,
    coalesce(kept.count, 0) AS kept,
    coalesce(recounted.count, 0) AS recounted
FROM kept FULL JOIN recounted USING (dimension, value)
WHERE coalesce(kept.count, 0) <> coalesce(recounted.count, 0)
ORDER BY dimension, value
