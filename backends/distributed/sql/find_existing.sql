-- find_existing: the numbers, times and fingerprints stored under these ids.
SELECT id, number, submitted_at, fingerprint
FROM tickets
WHERE id = ANY($1)
