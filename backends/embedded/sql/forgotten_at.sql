-- forgotten_at: when the person ?1 was last erased, if they were.
SELECT erased_at
FROM erasures
WHERE person = ?1
