-- strike_stored: strikes out what is a ticket by now.
-- Lateral, with a limit, so that tickets are looked up and never scanned. What another edge is
-- striking out at this moment is left to it.
DELETE FROM ledger
WHERE id IN (
    SELECT entry.id
    FROM ledger AS entry
    CROSS JOIN LATERAL (
        SELECT tickets.id FROM tickets WHERE tickets.id = entry.id LIMIT 1
    ) AS ticket
    FOR UPDATE OF entry SKIP LOCKED
)
