-- audit_statistics: every count and tally that differs from a recount. One statement, so one snapshot. (How often
-- days were revised no ticket tells.)
--
-- Missing and zero are the same, on either side.
WITH RECURSIVE octaves (octave, low) AS (
    -- How often a duration doubles from a millisecond on.
    SELECT 0, 1
    UNION ALL
    SELECT octave + 1, low * 2 FROM octaves WHERE octave < 50
),
durations (kind, day, assignee, ms) AS (
    SELECT
        'response',
        substr(first_response_at, 1, 10),
        NULL,
        max(1, CAST(round((julianday(first_response_at) - julianday(submitted_at)) * 86400000) AS INTEGER))
    FROM tickets
    WHERE first_response_at IS NOT NULL
    UNION ALL
    SELECT
        'resolution',
        substr(resolved_at, 1, 10),
        assignee,
        max(1, CAST(round((julianday(resolved_at) - julianday(submitted_at)) * 86400000) AS INTEGER))
    FROM tickets
    WHERE resolved_at IS NOT NULL
),
kinds (dimension, value, amount) AS (
    SELECT 'status', status, 1 FROM tickets
    UNION ALL
    SELECT 'priority', priority, 1 FROM tickets
    UNION ALL
    SELECT 'subject', subject, 1 FROM tickets
    UNION ALL
    SELECT 'created_on', substr(submitted_at, 1, 10), 1 FROM tickets
    UNION ALL
    SELECT 'resolved_on', substr(resolved_at, 1, 10), 1 FROM tickets WHERE resolved_at IS NOT NULL
    UNION ALL
    SELECT
        'submitted_in',
        substr(submitted_at, 1, 14) || printf('%02d', substr(submitted_at, 15, 2) / 15 * 15) || 'Z',
        1
    FROM tickets
    UNION ALL
    SELECT
        'resolved_in',
        substr(resolved_at, 1, 14) || printf('%02d', substr(resolved_at, 15, 2) / 15 * 15) || 'Z',
        1
    FROM tickets
    WHERE resolved_at IS NOT NULL
    UNION ALL
    SELECT 'settled_on', substr(submitted_at, 1, 10), 1 FROM tickets WHERE status IN ('resolved', 'closed')
    UNION ALL
    SELECT 'assigned', assignee, 1
    FROM tickets
    WHERE status NOT IN ('resolved', 'closed') AND assignee IS NOT NULL
    UNION ALL
    -- Ten parts of each doubling.
    SELECT kind || '_time', day || '/' || printf('%03d', octave * 10 + ms * 10 / low - 10), 1
    FROM durations
    JOIN octaves ON ms >= low AND ms < low * 2
    UNION ALL
    SELECT kind || '_ms', day, ms FROM durations
    UNION ALL
    SELECT 'resolved_by', day || '/' || assignee, 1 FROM durations WHERE assignee IS NOT NULL
    UNION ALL
    SELECT 'resolution_ms_by', day || '/' || assignee, ms FROM durations WHERE assignee IS NOT NULL
),
recount AS (SELECT dimension, value, sum(amount) AS count FROM kinds GROUP BY dimension, value),
kept AS (
    SELECT dimension, value, sum(count) AS count FROM statistics GROUP BY dimension, value
    UNION ALL
    SELECT dimension, value, sum(amount) AS count
    FROM tallies
    WHERE dimension <> 'revised'
    GROUP BY dimension, value
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
