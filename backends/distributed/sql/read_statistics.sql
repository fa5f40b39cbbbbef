-- read_statistics: every count, of days those from $1 (YYYY-MM-DD) on.
--
-- Two searches of the primary key rather than one condition with OR, which would read every day
-- there ever was.
SELECT dimension, value, sum(count)::bigint AS count
FROM statistics
WHERE dimension IN ('status', 'priority', 'subject')
GROUP BY dimension, value
HAVING sum(count) <> 0
UNION ALL
SELECT dimension, value, sum(count)::bigint AS count
FROM statistics
WHERE dimension IN ('created_on', 'resolved_on') AND value >= $1
GROUP BY dimension, value
HAVING sum(count) <> 0
