-- strike_entries: strikes out these (?1, a JSON array of ids).
DELETE FROM ledger
WHERE id IN (SELECT value FROM json_each(?1))
