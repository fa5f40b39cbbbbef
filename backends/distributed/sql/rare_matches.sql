-- rare_matches: of the listed tickets, of one of the statuses $1, the newest $18 that match $16, where few
-- do: the index names all of them. Behind `listed`, before `search_tickets`.
,
chosen AS MATERIALIZED (
    SELECT ticket_id, place, document, submitted_at, updated_at
    FROM ticket_search
    JOIN listed ON listed.id = ticket_search.ticket_id
    WHERE
        place <= $17
        AND document @@ to_tsquery('simple', $16)
        AND status = ANY($1)
    ORDER BY place DESC
    LIMIT $18
)
