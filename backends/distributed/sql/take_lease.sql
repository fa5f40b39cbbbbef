-- take_lease: gives the relay's lease to $1 for $2 seconds if it is free, has run out or is theirs,
-- and returns the place that was reached.
UPDATE relay
SET holder = $1, expires_at = now() + make_interval(secs => $2)
WHERE holder IS NULL OR holder = $1 OR expires_at <= now()
RETURNING transaction_id::text::bigint AS transaction_id, position
