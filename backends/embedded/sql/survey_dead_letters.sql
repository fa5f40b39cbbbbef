-- survey_dead_letters: all of them without their bodies, the oldest first.
SELECT id, code, detail, first_seen_at, attempts, length(body) AS body_bytes
FROM dead_letters
WHERE requeued_at IS NULL
ORDER BY id
