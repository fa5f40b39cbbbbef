-- count_marked_dead_letters: how many are to be tried again. On a broker they are in its queue.
SELECT count(*)
FROM dead_letters
WHERE requeued_at IS NOT NULL
