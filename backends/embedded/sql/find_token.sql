-- find_token: the token of this name, in whatever standing.
SELECT id, digest, name, role, created_at, expires_at, revoked_at, rotated_at, was_to_end_at
FROM tokens
WHERE id = ?1
