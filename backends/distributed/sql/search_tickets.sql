-- search_tickets: of the tickets that a search has chosen, those after the place ($12, $13) in the order
-- $15, $14 at most, and the horizon: what was taken in behind $17 is not looked at. What matches $16 best
-- has the highest rank. Behind `listed` and what chooses.
SELECT
    page.id,
    page.key,
    least($17, (SELECT max(place) FROM ticket_search)) AS horizon
FROM (
    SELECT
        ticket_id AS id,
        CASE $15
            -- In one number, since it alone says where the next page begins.
            WHEN 'rank' THEN -((
                least((ts_rank(document, (SELECT to_tsquery('simple', $16))) * 1000)::bigint, 1000) << 48
            ) | place)
            WHEN '-submittedAt' THEN -(extract(EPOCH FROM submitted_at) * 1000)::bigint
            WHEN 'submittedAt' THEN (extract(EPOCH FROM submitted_at) * 1000)::bigint
            WHEN '-updatedAt' THEN -(extract(EPOCH FROM updated_at) * 1000)::bigint
            ELSE (extract(EPOCH FROM updated_at) * 1000)::bigint
        END AS key
    FROM chosen
) AS page
WHERE (page.key, page.id) > ($12, $13)
ORDER BY page.key, page.id
LIMIT $14
