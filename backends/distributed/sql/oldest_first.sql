-- oldest_first: of the listed tickets, of one of the statuses $1, those submitted after the
-- place ($12, $13), the first submitted first, $14 at most. Behind `listed`.
--
-- One walk through the index for each status, which ends after $14 tickets, wherever it begins.
SELECT page.id, (extract(EPOCH FROM page.submitted_at) * 1000)::bigint AS key
FROM unnest($1) AS asked (status)
CROSS JOIN LATERAL (
    SELECT id, submitted_at
    FROM listed
    WHERE listed.status = asked.status AND submitted_at < $8 AND (submitted_at, id) > ($12, $13)
    ORDER BY submitted_at, id
    LIMIT $14
) AS page
ORDER BY page.submitted_at, page.id
LIMIT $14
