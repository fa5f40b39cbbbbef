-- find_dead_letter: the row ?1. On a broker a walk along a queue.
SELECT id, body, code, detail, first_seen_at, attempts
FROM dead_letters
WHERE id = ?1 AND requeued_at IS NULL
