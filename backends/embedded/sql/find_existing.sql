-- find_existing: number, time and fingerprint of those tickets (?1, a JSON array of ids) that are stored.
SELECT id, number, submitted_at, fingerprint
FROM tickets
WHERE id IN (SELECT value FROM json_each(?1))
