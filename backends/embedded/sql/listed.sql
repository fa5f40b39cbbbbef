-- listed: what every list begins with, the tickets that pass its filters: of one of the statuses of the JSON
-- array ?1, the priorities ?2 and the subjects ?3, in the hands of ?4, or with ?5 of nobody, with a reply or
-- not (?6), submitted from ?7 to ?8, last changed from ?9 to ?10, filed under ?11. What is null filters
-- nothing. (In Postgres the status is the rest's, which walks an index for each.)
WITH listed AS NOT MATERIALIZED (
    SELECT *
    FROM tickets
    WHERE
        status IN (SELECT value FROM json_each(?1))
        AND priority IN (SELECT value FROM json_each(?2))
        AND subject IN (SELECT value FROM json_each(?3))
        AND (?4 IS NULL OR assignee = ?4)
        AND (NOT ?5 OR assignee IS NULL)
        AND (?6 IS NULL OR (first_reply_at IS NOT NULL) = ?6)
        -- The plus keeps these from the indexes: a list begins at its place, and not at these.
        AND +submitted_at >= ?7
        AND +submitted_at < ?8
        AND +updated_at >= ?9
        AND +updated_at < ?10
        AND (
            ?11 IS NULL
            OR EXISTS (
                SELECT 1
                FROM ticket_tags
                WHERE
                    tag = ?11
                    AND ticket_tags.submitted_at = tickets.submitted_at
                    AND ticket_id = tickets.id
            )
        )
)

