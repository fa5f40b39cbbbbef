-- expire_token: lets a token end at this time, unless it ends before, and shows it.
UPDATE tokens
SET expires_at = min(coalesce(expires_at, ?2), ?2)
WHERE id = ?1
RETURNING id, digest, name, role, created_at, expires_at, revoked_at
