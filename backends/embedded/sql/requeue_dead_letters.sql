-- requeue_dead_letters: marks the rows of the JSON array ?1, or all, to be tried again.
UPDATE dead_letters
SET requeued_at = ?2
WHERE requeued_at IS NULL AND (?1 IS NULL OR id IN (SELECT value FROM json_each(?1)))
RETURNING id
