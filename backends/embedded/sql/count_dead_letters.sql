-- count_dead_letters: how many there are. On a broker the depth of a queue.
SELECT count(*)
FROM dead_letters
WHERE requeued_at IS NULL
