-- audit_numbers: up to ?2 numbers after ?1, in their own order.
SELECT number, submitted_at
FROM tickets
WHERE number > ?1
ORDER BY number
LIMIT ?2
