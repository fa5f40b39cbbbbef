-- read_seals: up to $3 seals of the record $1 after the one numbered $2.
SELECT number, transaction_id::text::bigint AS transaction_id, position, entries, digest, sealed_at
FROM audit_seals
WHERE record = $1 AND number > $2
ORDER BY number
LIMIT $3
