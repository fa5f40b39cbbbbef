-- discard_dead_letters: deletes the rows of the JSON array ?1, but those that are marked.
DELETE FROM dead_letters
WHERE requeued_at IS NULL AND id IN (SELECT value FROM json_each(?1))
RETURNING id
