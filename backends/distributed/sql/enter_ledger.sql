-- enter_ledger: enters submissions ($1) accepted at ($2); those that are entered stay as they are.
-- In one order, so that two edges that enter the same do not wait for each other.
INSERT INTO ledger (id, accepted_at)
SELECT entry.id, entry.accepted_at
FROM unnest($1::uuid[], $2::timestamptz[]) AS entry (id, accepted_at)
ORDER BY entry.id
ON CONFLICT (id) DO NOTHING
