-- read_days: the tallies of the days from $1 (YYYY-MM-DD) to the one before $2.
SELECT dimension, value, sum(amount)::bigint AS count
FROM tallies
WHERE
    dimension IN (
        'submitted_in', 'resolved_in', 'response_time', 'response_ms', 'resolution_time', 'resolution_ms',
        'resolved_by', 'resolution_ms_by'
    )
    AND value >= $1
    AND value < $2
GROUP BY dimension, value
HAVING sum(amount) <> 0
