-- find_existing: the numbers and fingerprints stored under these ids.
SELECT id, number, fingerprint
FROM tickets
WHERE id = ANY($1)
