-- audit_reserved: how many counters of the year ?1 were handed out.
SELECT next
FROM ticket_counters
WHERE year = ?1
