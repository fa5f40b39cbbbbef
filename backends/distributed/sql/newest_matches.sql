-- newest_matches: the newest $18 that match $16, where many do and nothing is filtered: a walk from the newest
-- back soon has enough of them. Behind `listed`, which is not asked, before `search_tickets`.
,
chosen AS MATERIALIZED (
    SELECT newest.*, NULL::timestamptz AS submitted_at, NULL::timestamptz AS updated_at
    FROM (
        SELECT ticket_id, place, document
        FROM ticket_search
        WHERE place <= $17
        ORDER BY place DESC
        LIMIT 5000
    ) AS newest
    -- In a subquery the words are parsed once, and not for each ticket.
    WHERE newest.document @@ (SELECT to_tsquery('simple', $16))
    ORDER BY newest.place DESC
    LIMIT $18
)
