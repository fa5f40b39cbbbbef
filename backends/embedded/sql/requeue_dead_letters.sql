-- requeue_dead_letters: marks the rows of the JSON array ?1 to be tried again.
UPDATE dead_letters
SET requeued_at = ?2
WHERE requeued_at IS NULL AND id IN (SELECT value FROM json_each(?1))
RETURNING id
