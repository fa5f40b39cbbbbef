-- listed: what every list begins with, the tickets that pass its filters but that of the status: of one
-- of the priorities $2 and subjects $3, in the hands of $4, or with $5 of nobody, with a reply or not ($6),
-- submitted from $7 to $8, last changed from $9 to $10, filed under $11. What is null filters nothing.
WITH listed AS NOT MATERIALIZED (
    SELECT *
    FROM tickets
    WHERE
        priority = ANY($2)
        AND subject = ANY($3)
        AND ($4::text IS NULL OR assignee = $4)
        AND (NOT $5 OR assignee IS NULL)
        AND ($6::boolean IS NULL OR (first_reply_at IS NOT NULL) = $6)
        -- IS TRUE keeps these from the indexes: a list begins at its place, and not at these.
        AND (submitted_at >= $7 AND submitted_at < $8) IS TRUE
        AND (updated_at >= $9 AND updated_at < $10) IS TRUE
        AND (
            $11::text IS NULL
            OR EXISTS (
                SELECT
                FROM ticket_tags
                WHERE
                    tag = $11
                    AND ticket_tags.submitted_at = tickets.submitted_at
                    AND ticket_id = tickets.id
            )
        )
)

