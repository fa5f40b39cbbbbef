-- read_ledger: adds the ledger up.
SELECT
    count(*) FILTER (WHERE is_stored) AS stored,
    count(*) FILTER (WHERE NOT is_stored AND NOT is_unaccounted) AS in_flight,
    min(accepted_at) FILTER (WHERE NOT is_stored AND NOT is_unaccounted) AS oldest_in_flight,
    count(*) FILTER (WHERE NOT is_stored AND is_unaccounted) AS unaccounted,
    min(accepted_at) FILTER (WHERE NOT is_stored AND is_unaccounted) AS oldest_unaccounted
FROM (
    SELECT
        ledger.accepted_at,
        ledger.is_unaccounted,
        EXISTS (SELECT 1 FROM tickets WHERE tickets.id = ledger.id) AS is_stored
    FROM ledger
) AS entries
