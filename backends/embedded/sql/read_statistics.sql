-- read_statistics: every count, of days those from ?1 (YYYY-MM-DD) on, and of the tallies those of the days
-- from ?2 on, who has what in hand, what is settled of the days from ?3 on, and how often a day from ?4
-- on was revised. One statement, so that counts and tallies are of one moment.
--
-- Searches of the primary keys rather than one condition with OR, which would read every day there ever was.
SELECT dimension, value, sum(count) AS count
FROM statistics
WHERE dimension IN ('status', 'priority', 'subject')
GROUP BY dimension, value
HAVING sum(count) <> 0
UNION ALL
SELECT dimension, value, sum(count) AS count
FROM statistics
WHERE dimension IN ('created_on', 'resolved_on') AND value >= ?1
GROUP BY dimension, value
HAVING sum(count) <> 0
UNION ALL
SELECT dimension, value, sum(amount) AS count
FROM tallies
WHERE
    dimension IN (
        'submitted_in', 'resolved_in', 'response_time', 'response_ms', 'resolution_time', 'resolution_ms',
        'resolved_by', 'resolution_ms_by'
    )
    AND value >= ?2
GROUP BY dimension, value
HAVING sum(amount) <> 0
UNION ALL
SELECT dimension, value, sum(amount) AS count
FROM tallies
WHERE dimension = 'assigned'
GROUP BY dimension, value
HAVING sum(amount) <> 0
UNION ALL
SELECT dimension, value, sum(amount) AS count
FROM tallies
WHERE dimension = 'settled_on' AND value >= ?3
GROUP BY dimension, value
HAVING sum(amount) <> 0
UNION ALL
SELECT dimension, value, sum(amount) AS count
FROM tallies
WHERE dimension = 'revised' AND value >= ?4
GROUP BY dimension, value
HAVING sum(amount) <> 0
