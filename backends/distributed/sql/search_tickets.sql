-- search_tickets: of the listed tickets, of one of the statuses $1, those that match, after the place
-- ($12, $13) in the order $15, $14 at most, and the horizon: what was taken in behind $17 is not looked at.
-- Behind `listed`.
--
-- First the ticket of the number $19 and those of the address $20. If there are none, the newest $18 that
-- match $16. Which way to those is the shorter depends on how many match: where a word is common, a walk
-- from the newest back soon has enough of them, and where it is rare, the index names them all. The newest
-- thousand tell which it is.
,
exact AS MATERIALIZED (
    SELECT ticket_id, place
    FROM (
        SELECT ticket_id, place
        FROM ticket_search
        WHERE ticket_id = (SELECT id FROM tickets WHERE number = $19)
        UNION ALL
        SELECT ticket_id, place
        FROM (
            SELECT ticket_id, place
            FROM ticket_search
            WHERE email = lower($20) AND place <= $17
            ORDER BY place DESC
            LIMIT $18
        ) AS addressed
    ) AS either
    WHERE place <= $17
),
probe AS MATERIALIZED (
    SELECT count(*) AS hits
    FROM (
        SELECT document
        FROM ticket_search
        WHERE place <= $17
        ORDER BY place DESC
        LIMIT 1000
    ) AS newest
    WHERE NOT EXISTS (SELECT FROM exact) AND newest.document @@ to_tsquery('simple', $16)
),
walked AS MATERIALIZED (
    SELECT newest.ticket_id, newest.place
    FROM (
        SELECT ticket_id, place, document
        FROM ticket_search
        WHERE place <= $17
        ORDER BY place DESC
        LIMIT 25000
    ) AS newest
    -- Each by itself, with OFFSET 0: a plan for all 25,000 would read every ticket there is.
    CROSS JOIN LATERAL (
        SELECT
        FROM listed
        WHERE listed.id = newest.ticket_id AND listed.status = ANY($1)
        OFFSET 0
    ) AS passing
    WHERE (SELECT hits FROM probe) >= 30 AND newest.document @@ to_tsquery('simple', $16)
    ORDER BY newest.place DESC
    LIMIT $18
),
found AS MATERIALIZED (
    SELECT ticket_search.ticket_id, ticket_search.place
    FROM ticket_search
    JOIN listed ON listed.id = ticket_search.ticket_id
    WHERE
        NOT EXISTS (SELECT FROM exact)
        AND (SELECT count(*) FROM walked) < $18
        AND ticket_search.place <= $17
        AND ticket_search.document @@ to_tsquery('simple', $16)
        AND listed.status = ANY($1)
    ORDER BY ticket_search.place DESC
    LIMIT $18
),
chosen AS (
    SELECT ticket_id, place FROM exact
    UNION ALL
    SELECT ticket_id, place FROM walked WHERE (SELECT count(*) FROM walked) >= $18
    UNION ALL
    SELECT ticket_id, place FROM found
)
SELECT
    page.id,
    page.key,
    least($17, (SELECT max(place) FROM ticket_search)) AS horizon
FROM (
    SELECT
        listed.id,
        CASE $15
            -- In one number, since it alone says where the next page begins.
            WHEN 'rank' THEN -((
                least((ts_rank(ticket_search.document, to_tsquery('simple', $16)) * 1000)::bigint, 1000) << 48
            ) | chosen.place)
            WHEN '-submittedAt' THEN -(extract(EPOCH FROM listed.submitted_at) * 1000)::bigint
            WHEN 'submittedAt' THEN (extract(EPOCH FROM listed.submitted_at) * 1000)::bigint
            WHEN '-updatedAt' THEN -(extract(EPOCH FROM listed.updated_at) * 1000)::bigint
            ELSE (extract(EPOCH FROM listed.updated_at) * 1000)::bigint
        END AS key
    FROM chosen
    JOIN ticket_search ON ticket_search.ticket_id = chosen.ticket_id
    JOIN listed ON listed.id = chosen.ticket_id
    WHERE listed.status = ANY($1)
) AS page
WHERE (page.key, page.id) > ($12, $13)
ORDER BY page.key, page.id
LIMIT $14
