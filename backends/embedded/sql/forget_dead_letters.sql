-- forget_dead_letters: deletes the rows of the JSON array ?1, which were tried again.
DELETE FROM dead_letters
WHERE requeued_at IS NOT NULL AND id IN (SELECT value FROM json_each(?1))
