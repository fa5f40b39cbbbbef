-- probe_words: how many of the newest 300 tickets up to $2 match $1.
SELECT count(*)
FROM (
    SELECT document
    FROM ticket_search
    WHERE place <= $2
    ORDER BY place DESC
    LIMIT 300
) AS newest
WHERE newest.document @@ (SELECT to_tsquery('simple', $1))
