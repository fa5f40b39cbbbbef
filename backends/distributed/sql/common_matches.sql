-- common_matches: of the listed tickets, of one of the statuses $1, the newest $18 that match $16, where
-- many do. Behind `listed`, before `search_tickets`.
--
-- A walk from the newest back soon has enough of them. If not, few pass the filters, or those that do are
-- old: the newest of those are looked at.
,
walked AS MATERIALIZED (
    SELECT newest.*, passing.*
    FROM (
        SELECT ticket_id, place, document
        FROM ticket_search
        WHERE place <= $17
        ORDER BY place DESC
        LIMIT 4000
    ) AS newest
    -- Each by itself, with OFFSET 0: a plan for all 4,000 would read every ticket there is.
    CROSS JOIN LATERAL (
        SELECT submitted_at, updated_at
        FROM listed
        WHERE listed.id = newest.ticket_id AND listed.status = ANY($1)
        OFFSET 0
    ) AS passing
    WHERE newest.document @@ to_tsquery('simple', $16)
    ORDER BY newest.place DESC
    LIMIT $18
),
filtered AS MATERIALIZED (
    SELECT passing.id, searched.place, searched.document, passing.submitted_at, passing.updated_at
    FROM (
        -- One walk for each status, as a list takes it.
        SELECT page.*
        FROM unnest($1) AS asked (status)
        CROSS JOIN LATERAL (
            SELECT id, submitted_at, updated_at
            FROM listed
            WHERE listed.status = asked.status AND submitted_at >= $7 AND submitted_at < $8
            ORDER BY submitted_at DESC
            LIMIT 5000
        ) AS page
        WHERE (SELECT count(*) FROM walked) < $18
        ORDER BY page.submitted_at DESC
        LIMIT 5000
    ) AS passing
    CROSS JOIN LATERAL (
        SELECT place, document
        FROM ticket_search
        WHERE
            ticket_id = passing.id
            AND place <= $17
            AND document @@ to_tsquery('simple', $16)
        OFFSET 0
    ) AS searched
    WHERE passing.id NOT IN (SELECT ticket_id FROM walked)
    ORDER BY searched.place DESC
    LIMIT $18
),
chosen AS MATERIALIZED (
    SELECT * FROM walked
    UNION ALL
    SELECT * FROM filtered
    ORDER BY place DESC
    LIMIT $18
)
