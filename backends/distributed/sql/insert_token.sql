-- insert_token: keeps a new token.
INSERT INTO tokens (id, digest, name, role, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6)
