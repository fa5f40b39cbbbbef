-- newest_first: of the listed tickets those submitted before the place (?12, ?13), the last submitted
-- first, ?14 at most. Behind `listed`.
SELECT id, unixepoch(submitted_at) * 1000 + CAST(substr(submitted_at, 21, 3) AS INTEGER) AS key
FROM listed
WHERE submitted_at >= ?7 AND (submitted_at, id) < (?12, ?13)
ORDER BY submitted_at DESC, id DESC
LIMIT ?14
