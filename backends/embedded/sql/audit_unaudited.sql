-- audit_unaudited: how many tickets lack the audit entry of their creation.
SELECT count(*)
FROM tickets
WHERE NOT EXISTS (
    SELECT 1
    FROM audit_entries
    WHERE audit_entries.ticket_id = tickets.id AND audit_entries.kind = 'ticket.created'
)
