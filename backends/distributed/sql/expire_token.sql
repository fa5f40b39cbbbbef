-- expire_token: lets a token end at this time, unless it ends before, since another was made in its place,
-- keeps when it was to end before the first time, and shows it.
UPDATE tokens
SET
    expires_at = least(coalesce(expires_at, $2), $2),
    was_to_end_at = CASE WHEN rotated_at IS NULL THEN expires_at ELSE was_to_end_at END,
    rotated_at = coalesce(rotated_at, $3)
WHERE id = $1
RETURNING id, digest, name, role, created_at, expires_at, revoked_at, rotated_at, was_to_end_at
