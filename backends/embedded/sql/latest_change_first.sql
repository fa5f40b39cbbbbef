-- latest_change_first: of the listed tickets those last changed before the place (?12, ?13), the last changed
-- first, ?14 at most. Behind `listed`.
SELECT id, unixepoch(updated_at) * 1000 + CAST(substr(updated_at, 21, 3) AS INTEGER) AS key
FROM listed
WHERE updated_at >= ?9 AND (updated_at, id) < (?12, ?13)
ORDER BY updated_at DESC, id DESC
LIMIT ?14
