-- tagged: of the listed tickets, of one of the statuses $1 and filed under $11, those after the place
-- ($12, $13) in the order $15, $14 at most. Behind `listed`.
--
-- All tickets of the tag are sorted: most tags have few, and a walk through all tickets for those of one
-- would not end.
SELECT page.id, page.key
FROM (
    SELECT
        listed.id,
        CASE $15
            WHEN '-submittedAt' THEN -(extract(EPOCH FROM listed.submitted_at) * 1000)::bigint
            WHEN 'submittedAt' THEN (extract(EPOCH FROM listed.submitted_at) * 1000)::bigint
            WHEN '-updatedAt' THEN -(extract(EPOCH FROM listed.updated_at) * 1000)::bigint
            ELSE (extract(EPOCH FROM listed.updated_at) * 1000)::bigint
        END AS key
    FROM ticket_tags
    JOIN listed ON listed.id = ticket_tags.ticket_id
    WHERE ticket_tags.tag = $11 AND listed.status = ANY($1)
) AS page
WHERE (page.key, page.id) > ($12, $13)
ORDER BY page.key, page.id
LIMIT $14
