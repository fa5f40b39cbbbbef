-- search_tickets: of the listed tickets those that match, after the place (?12, ?13) in the order ?15, ?14
-- at most; and the horizon: what was taken in behind ?17 is not looked at. Behind `listed`.
--
-- First the ticket of the number ?19 and those of the address ?20. If there are none, the newest ?18 that
-- match ?16. The index walks back from the newest by itself. (Postgres has to choose between ways.) Those
-- with one of the words in number or address (?21) rank before those with one in the name (?22): the
-- index's own rank would read everything that matches.
,
exact AS MATERIALIZED (
    SELECT place
    FROM ticket_search
    WHERE ticket_id = (SELECT id FROM tickets WHERE number = ?19) AND place <= ?17
    UNION
    SELECT place
    FROM (
        SELECT place
        FROM ticket_search
        WHERE email = lower(?20) AND place <= ?17
        ORDER BY place DESC
        LIMIT ?18
    )
),
found AS MATERIALIZED (
    SELECT ticket_words.rowid AS place
    FROM ticket_words
    CROSS JOIN ticket_search ON ticket_search.place = ticket_words.rowid
    CROSS JOIN listed ON listed.id = ticket_search.ticket_id
    WHERE
        ticket_words MATCH ?16
        AND ticket_words.rowid <= ?17
        AND NOT EXISTS (SELECT 1 FROM exact)
    ORDER BY ticket_words.rowid DESC
    LIMIT ?18
),
addressed AS MATERIALIZED (
    SELECT rowid AS place
    FROM ticket_words
    WHERE ticket_words MATCH ?21 AND rowid >= (SELECT min(place) FROM found) AND rowid <= ?17
),
named AS MATERIALIZED (
    SELECT rowid AS place
    FROM ticket_words
    WHERE ticket_words MATCH ?22 AND rowid >= (SELECT min(place) FROM found) AND rowid <= ?17
)
SELECT id, key, min(?17, (SELECT max(place) FROM ticket_search)) AS horizon
FROM (
    SELECT
        listed.id,
        CASE
            -- In one number, since it alone says where the next page begins.
            WHEN ?15 = 'rank' THEN -((
                2 * (chosen.place IN (SELECT place FROM addressed)) + (chosen.place IN (SELECT place FROM named))
            ) << 48 | chosen.place)
            WHEN ?15 = '-submittedAt'
                THEN -(unixepoch(listed.submitted_at) * 1000 + CAST(substr(listed.submitted_at, 21, 3) AS INTEGER))
            WHEN ?15 = 'submittedAt'
                THEN unixepoch(listed.submitted_at) * 1000 + CAST(substr(listed.submitted_at, 21, 3) AS INTEGER)
            WHEN ?15 = '-updatedAt'
                THEN -(unixepoch(listed.updated_at) * 1000 + CAST(substr(listed.updated_at, 21, 3) AS INTEGER))
            ELSE unixepoch(listed.updated_at) * 1000 + CAST(substr(listed.updated_at, 21, 3) AS INTEGER)
        END AS key
    FROM (SELECT place FROM exact UNION ALL SELECT place FROM found) AS chosen
    CROSS JOIN ticket_search ON ticket_search.place = chosen.place
    CROSS JOIN listed ON listed.id = ticket_search.ticket_id
) AS page
WHERE (key, id) > (?12, ?13)
ORDER BY key, id
LIMIT ?14
