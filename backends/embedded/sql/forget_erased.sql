-- forget_erased: forgets the tickets that are not there any more, of those on record up to the position ?1.
DELETE FROM ticket_search
WHERE ticket_id IN (
    SELECT ticket_id
    FROM audit_entries
    WHERE
        position > (SELECT position FROM search_progress)
        AND position <= ?1
        AND NOT EXISTS (SELECT 1 FROM tickets WHERE tickets.id = audit_entries.ticket_id)
)
