-- tickets_of_person: up to $4 tickets of the address $1, which is in small letters, submitted up to $2, in
-- the order of their ids, those after $3.
--
-- Of what is taken in to be searched an index names those of an address. What is not yet, the audit entries
-- behind the place of the search tell of: little, unless the search is far behind. Both are of one snapshot,
-- so nothing is on its way from one to the other. Where the place is another server's, behind all transactions
-- of this one, nothing is taken in any more, and every ticket is looked at: until transactions come to the place,
-- which they must not before the operator has translated it.
WITH candidates AS MATERIALIZED (
    SELECT ticket_id
    FROM ticket_search
    -- Folded by the database's own rules where an earlier release took it in.
    WHERE email IN ($1, lower($1))
    UNION ALL
    SELECT ticket_id
    FROM audit_entries
    WHERE
        (transaction_id, position) > (
            (SELECT transaction_id FROM search_progress),
            (SELECT position FROM search_progress)
        )
        AND kind = 'ticket.created'
    UNION ALL
    SELECT id
    FROM tickets
    WHERE
        (SELECT transaction_id >= pg_snapshot_xmax(pg_current_snapshot()) FROM search_progress)
        AND lower(email COLLATE "C") = $1
)
-- Once, where what was taken in is taken in anew.
SELECT DISTINCT theirs.id, theirs.version
FROM candidates
-- Each by itself, with OFFSET 0: how many there are is not foreseen, and a plan for many would read every
-- ticket there is. Those not taken in come in the order of their making, in which they lie.
CROSS JOIN LATERAL (
    SELECT id, version
    FROM tickets
    WHERE
        id = candidates.ticket_id
        AND lower(email COLLATE "C") = $1
        AND submitted_at <= $2
        AND erased_at IS NULL
    OFFSET 0
) AS theirs
WHERE candidates.ticket_id > $3
ORDER BY theirs.id
LIMIT $4
