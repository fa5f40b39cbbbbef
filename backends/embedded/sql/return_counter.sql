-- return_counter: takes back the counter of the year ?1 that this transaction handed out last.
UPDATE ticket_counters
SET next = next - 1
WHERE year = ?1
