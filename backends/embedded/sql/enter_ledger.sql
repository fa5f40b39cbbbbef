-- enter_ledger: enters submissions (?1, a JSON array of objects); those that are entered stay as they
-- are.
INSERT INTO ledger (id, accepted_at)
SELECT value ->> '$.id', value ->> '$.accepted_at'
FROM json_each(?1)
WHERE true
ON CONFLICT (id) DO NOTHING
