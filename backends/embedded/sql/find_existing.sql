-- find_existing: number and fingerprint of those tickets (?1, a JSON array of ids) that are stored.
SELECT id, number, fingerprint
FROM tickets
WHERE id IN (SELECT value FROM json_each(?1))
