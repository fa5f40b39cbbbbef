-- redact_dead_letter: gives the row ?1 the body ?2, unless it is marked. On a broker another message.
UPDATE dead_letters
SET body = ?2
WHERE requeued_at IS NULL AND id = ?1
RETURNING id
