-- audit_statistics: every count that differs from a recount. One statement, so one snapshot.
--
-- Missing and zero are the same, on either side.
WITH kinds (dimension, value) AS (
    SELECT 'status', status FROM tickets
    UNION ALL
    SELECT 'priority', priority FROM tickets
    UNION ALL
    SELECT 'subject', subject FROM tickets
    UNION ALL
    SELECT 'created_on', substr(submitted_at, 1, 10) FROM tickets
    UNION ALL
    SELECT 'resolved_on', substr(resolved_at, 1, 10) FROM tickets WHERE resolved_at IS NOT NULL
),
recount AS (SELECT dimension, value, count(*) AS count FROM kinds GROUP BY dimension, value),
kept AS (
    SELECT dimension, value, sum(count) AS count FROM statistics GROUP BY dimension, value
)
SELECT
    coalesce(kept.dimension, recount.dimension) AS dimension,
    coalesce(kept.value, recount.value) AS value,
    coalesce(kept.count, 0) AS kept,
    coalesce(recount.count, 0) AS recounted
FROM kept
FULL JOIN recount ON recount.dimension = kept.dimension AND recount.value = kept.value
WHERE coalesce(kept.count, 0) <> coalesce(recount.count, 0)
ORDER BY 1, 2
