-- strike_entries: strikes out these ($1).
DELETE FROM ledger
WHERE id IN (
    SELECT entry.id FROM ledger AS entry WHERE entry.id = ANY($1) FOR UPDATE SKIP LOCKED
)
