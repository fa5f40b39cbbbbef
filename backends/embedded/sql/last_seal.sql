-- last_seal: the last seal of the record ?1.
SELECT number, position, entries, digest, sealed_at
FROM audit_seals
WHERE record = ?1
ORDER BY number DESC
LIMIT 1
