-- audit_numbers: up to ?2 numbers after ?1, or from the very first where that is NULL, in their own
-- order. Said so that the index serves both.
SELECT number, submitted_at
FROM tickets
WHERE number >= coalesce(?1, '') AND number IS NOT ?1
ORDER BY number
LIMIT ?2
