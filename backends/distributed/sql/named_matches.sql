-- named_matches: the newest $18 that match $16, where few do and nothing is filtered: the index names all of
-- them. Behind `listed`, which is not asked, before `search_tickets`.
,
named AS MATERIALIZED (
    -- By itself: whoever plans for any words takes them for common, and would walk back to look for some.
    SELECT ticket_id, place, document
    FROM ticket_search
    WHERE document @@ to_tsquery('simple', $16)
),
chosen AS MATERIALIZED (
    SELECT named.*, NULL::timestamptz AS submitted_at, NULL::timestamptz AS updated_at
    FROM named
    WHERE place <= $17
    ORDER BY place DESC
    LIMIT $18
)
