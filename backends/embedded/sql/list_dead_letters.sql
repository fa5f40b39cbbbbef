-- list_dead_letters: up to ?1 of them, the oldest first. On a broker a look into a queue.
SELECT id, body, code, detail, first_seen_at, attempts
FROM dead_letters
WHERE requeued_at IS NULL
ORDER BY id
LIMIT ?1
