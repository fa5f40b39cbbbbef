-- tickets_of_person: up to ?4 tickets of the address ?1, which is in small letters, submitted up to ?2, in
-- the order of their ids, those after ?3.
--
-- Of what is taken in to be searched an index names those of an address. What is not yet, the audit entries
-- behind the place of the search tell of: little, unless the search is far behind. Each once, where what was
-- taken in is taken in anew.
SELECT DISTINCT tickets.id, tickets.version
FROM (
    SELECT ticket_id
    FROM ticket_search
    WHERE email = ?1
    UNION ALL
    SELECT ticket_id
    FROM audit_entries
    WHERE position > (SELECT position FROM search_progress) AND kind = 'ticket.created'
) AS candidates
CROSS JOIN tickets ON tickets.id = candidates.ticket_id
WHERE
    lower(tickets.email) = ?1
    AND tickets.submitted_at <= ?2
    AND tickets.id > ?3
    AND tickets.erased_at IS NULL
ORDER BY tickets.id
LIMIT ?4
