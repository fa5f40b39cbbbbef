-- adopt_key: keeps the fingerprint ?1 unless there is one; answers the one kept.
INSERT INTO installation (name, value)
VALUES ('number_key_fingerprint', ?1)
ON CONFLICT (name) DO UPDATE SET value = installation.value
RETURNING value
