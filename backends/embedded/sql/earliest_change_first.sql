-- earliest_change_first: of the listed tickets those last changed after the place (?12, ?13), the first changed
-- first, ?14 at most. Behind `listed`.
SELECT id, unixepoch(updated_at) * 1000 + CAST(substr(updated_at, 21, 3) AS INTEGER) AS key
FROM listed
WHERE updated_at < ?10 AND (updated_at, id) > (?12, ?13)
ORDER BY updated_at, id
LIMIT ?14
