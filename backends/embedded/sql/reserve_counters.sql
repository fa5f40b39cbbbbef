-- reserve_counters: hands out the next ?2 counters of the year ?1; answers the first one after them.
INSERT INTO ticket_counters (year, next)
VALUES (?1, ?2)
ON CONFLICT (year) DO UPDATE SET next = next + excluded.next
RETURNING next
