-- list_tokens: every token, in the order of their making.
SELECT id, digest, name, role, created_at, expires_at, revoked_at, rotated_at, was_to_end_at
FROM tokens
ORDER BY created_at, id
