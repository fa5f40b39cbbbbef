-- mark_unaccounted: what was accepted before ?1 and is no ticket is unaccounted for.
UPDATE ledger
SET is_unaccounted = 1
WHERE accepted_at < ?1
    AND NOT is_unaccounted
    AND NOT EXISTS (SELECT 1 FROM tickets WHERE tickets.id = ledger.id)
