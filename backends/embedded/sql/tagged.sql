-- tagged: of the listed tickets filed under ?11 those after the place (?12, ?13) in the order ?15, ?14 at
-- most. Behind `listed`.
--
-- All tickets of the tag are sorted: most tags have few, and a walk through all tickets for those of one
-- would not end.
SELECT id, key
FROM (
    SELECT
        id,
        CASE WHEN ?15 LIKE '-%' THEN -instant ELSE instant END AS key
    FROM (
        SELECT
            listed.id,
            CASE WHEN ?15 LIKE '%submittedAt'
                THEN unixepoch(listed.submitted_at) * 1000 + CAST(substr(listed.submitted_at, 21, 3) AS INTEGER)
                ELSE unixepoch(listed.updated_at) * 1000 + CAST(substr(listed.updated_at, 21, 3) AS INTEGER)
            END AS instant
        FROM ticket_tags
        CROSS JOIN listed ON listed.id = ticket_tags.ticket_id
        WHERE ticket_tags.tag = ?11
    ) AS dated
) AS page
WHERE (key, id) > (?12, ?13)
ORDER BY key, id
LIMIT ?14
