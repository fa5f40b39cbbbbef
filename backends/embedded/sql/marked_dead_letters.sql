-- marked_dead_letters: up to ?1 of those to be tried again, the oldest first.
SELECT id, body, code
FROM dead_letters
WHERE requeued_at IS NOT NULL
ORDER BY id
LIMIT ?1
