-- exact_matches: of the listed tickets, of one of the statuses $1, that of the number $19, and the newest
-- $18 of those of the address $20, in small letters. Behind `listed`, before `search_tickets`.
,
chosen AS MATERIALIZED (
    SELECT either.*, listed.submitted_at, listed.updated_at
    FROM (
        SELECT ticket_id, place, document
        FROM ticket_search
        WHERE ticket_id = (SELECT id FROM tickets WHERE number = $19)
        UNION ALL
        SELECT ticket_id, place, document
        FROM (
            SELECT ticket_id, place, document
            FROM ticket_search
            -- Folded by the database's own rules where an earlier release took it in.
            WHERE email IN ($20, lower($20)) AND place <= $17
            ORDER BY place DESC
            LIMIT $18
        ) AS addressed
    ) AS either
    JOIN listed ON listed.id = either.ticket_id
    WHERE either.place <= $17 AND listed.status = ANY($1)
)
