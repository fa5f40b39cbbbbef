-- adopt_key: remembers the number key's fingerprint unless there is one, and returns the one kept.
INSERT INTO installation (name, value)
VALUES ('number_key_fingerprint', $1)
ON CONFLICT (name) DO UPDATE SET value = installation.value
RETURNING value
