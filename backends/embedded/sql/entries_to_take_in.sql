-- entries_to_take_in: how many of the next ?1 audit entries there are, and the position of the last one.
-- (In Postgres this and what follows from it is one statement, take_in.)
SELECT count(*) AS entries, max(position) AS position
FROM (
    SELECT position
    FROM audit_entries
    WHERE position > (SELECT position FROM search_progress)
    ORDER BY position
    LIMIT ?1
)
