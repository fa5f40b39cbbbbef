-- reserve_counters: hands out the next $2 counters of year $1 and returns the one after them.
INSERT INTO ticket_counters AS counters (year, next)
VALUES ($1, $2)
ON CONFLICT (year) DO UPDATE SET next = counters.next + excluded.next
RETURNING next
