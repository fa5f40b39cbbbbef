-- discard_dead_letters: deletes the rows of the JSON array ?1, or all, but those that are marked.
DELETE FROM dead_letters
WHERE requeued_at IS NULL AND (?1 IS NULL OR id IN (SELECT value FROM json_each(?1)))
RETURNING id
