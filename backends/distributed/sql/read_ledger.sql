-- read_ledger: adds the ledger up.
-- Lateral, with a limit, so that tickets are looked up and never scanned.
SELECT
    count(*) FILTER (WHERE ticket.id IS NOT NULL) AS stored,
    count(*) FILTER (WHERE ticket.id IS NULL AND NOT entry.is_unaccounted) AS in_flight,
    min(entry.accepted_at) FILTER (WHERE ticket.id IS NULL AND NOT entry.is_unaccounted)
        AS oldest_in_flight,
    count(*) FILTER (WHERE ticket.id IS NULL AND entry.is_unaccounted) AS unaccounted,
    min(entry.accepted_at) FILTER (WHERE ticket.id IS NULL AND entry.is_unaccounted)
        AS oldest_unaccounted
FROM ledger AS entry
LEFT JOIN LATERAL (
    SELECT tickets.id FROM tickets WHERE tickets.id = entry.id LIMIT 1
) AS ticket ON true
