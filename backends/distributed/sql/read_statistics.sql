-- read_statistics: the counts, those of days only from $1 (YYYY-MM-DD) on.
SELECT dimension, value, sum(count)::bigint AS count
FROM statistics
WHERE dimension IN ('status', 'priority', 'subject') OR value >= $1
GROUP BY dimension, value
