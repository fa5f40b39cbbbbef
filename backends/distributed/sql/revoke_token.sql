-- revoke_token: revokes a token, unless it was before, and shows it.
UPDATE tokens
SET revoked_at = coalesce(revoked_at, $2)
WHERE id = $1
RETURNING id, digest, name, role, created_at, expires_at, revoked_at, rotated_at, was_to_end_at
