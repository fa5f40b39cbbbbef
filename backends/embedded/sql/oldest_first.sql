-- oldest_first: of the listed tickets those submitted after the place (?12, ?13), the first submitted
-- first, ?14 at most. Behind `listed`.
SELECT id, unixepoch(submitted_at) * 1000 + CAST(substr(submitted_at, 21, 3) AS INTEGER) AS key
FROM listed
WHERE submitted_at < ?8 AND (submitted_at, id) > (?12, ?13)
ORDER BY submitted_at, id
LIMIT ?14
