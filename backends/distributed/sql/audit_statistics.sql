-- audit_statistics: every count and tally that differs from a recount of the tickets, in one snapshot. (How often
-- days were revised no ticket tells.)
WITH dated AS (
    SELECT
        *,
        to_char(submitted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS submitted_on,
        to_char(first_response_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS responded_on,
        to_char(resolved_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS resolved_on,
        greatest(1, extract(EPOCH FROM first_response_at - submitted_at) * 1000)::bigint AS response_ms,
        greatest(1, extract(EPOCH FROM resolved_at - submitted_at) * 1000)::bigint AS resolution_ms,
        status IN ('resolved', 'closed') AS is_settled
    FROM tickets
),
placed AS (
    -- How often a duration doubles from a millisecond on: the length of its binary number.
    SELECT
        *,
        length(ltrim(response_ms::bit(64)::text, '0')) - 1 AS response_octave,
        length(ltrim(resolution_ms::bit(64)::text, '0')) - 1 AS resolution_octave
    FROM dated
),
ranged AS (
    -- Ten parts of each doubling.
    SELECT
        *,
        lpad((response_octave * 10 + (response_ms * 10 >> response_octave) - 10)::text, 3, '0') AS response_range,
        lpad((resolution_octave * 10 + (resolution_ms * 10 >> resolution_octave) - 10)::text, 3, '0')
            AS resolution_range
    FROM placed
),
recounted AS (
    SELECT dimension, value COLLATE "C" AS value, sum(amount)::bigint AS count
    FROM
        ranged,
        LATERAL (
            VALUES
                ('status', status, 1),
                ('priority', priority, 1),
                ('subject', subject, 1),
                ('created_on', submitted_on, 1),
                ('resolved_on', resolved_on, 1),
                ('submitted_in', quarter_of(submitted_at), 1),
                ('resolved_in', quarter_of(resolved_at), 1),
                ('settled_on', CASE WHEN is_settled THEN submitted_on END, 1),
                ('assigned', CASE WHEN NOT is_settled THEN assignee END, 1),
                ('response_time', responded_on || '/' || response_range, 1),
                ('response_ms', responded_on, response_ms),
                ('resolution_time', resolved_on || '/' || resolution_range, 1),
                ('resolution_ms', resolved_on, resolution_ms),
                ('resolved_by', resolved_on || '/' || assignee, 1),
                ('resolution_ms_by', resolved_on || '/' || assignee, resolution_ms)
        ) AS counts (dimension, value, amount)
    WHERE value IS NOT NULL
    GROUP BY 1, 2
),
kept AS (
    SELECT dimension, value COLLATE "C" AS value, sum(count)::bigint AS count
    FROM statistics
    GROUP BY 1, 2
    UNION ALL
    SELECT dimension, value COLLATE "C" AS value, sum(amount)::bigint AS count
    FROM tallies
    WHERE dimension <> 'revised'
    GROUP BY 1, 2
)
SELECT
    dimension,
    value,
    coalesce(kept.count, 0) AS kept,
    coalesce(recounted.count, 0) AS recounted
FROM kept FULL JOIN recounted USING (dimension, value)
WHERE coalesce(kept.count, 0) <> coalesce(recounted.count, 0)
ORDER BY dimension, value
