-- earliest_change_first: of the listed tickets, of one of the statuses $1, those last changed after the
-- place ($12, $13), the first changed first, $14 at most. Behind `listed`.
--
-- One walk through the index for each status, which ends after $14 tickets, wherever it begins.
SELECT page.id, (extract(EPOCH FROM page.updated_at) * 1000)::bigint AS key
FROM unnest($1) AS asked (status)
CROSS JOIN LATERAL (
    SELECT id, updated_at
    FROM listed
    WHERE listed.status = asked.status AND updated_at < $10 AND (updated_at, id) > ($12, $13)
    ORDER BY updated_at, id
    LIMIT $14
) AS page
ORDER BY page.updated_at, page.id
LIMIT $14
