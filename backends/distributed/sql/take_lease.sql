-- take_lease: gives the relay's lease to $1 for $2 seconds if it is free, has run out or is theirs,
-- and returns the place that was reached, and whether places are ahead of this server's
-- transactions: then they come from another server.
UPDATE relay
SET holder = $1, expires_at = now() + make_interval(secs => $2)
WHERE holder IS NULL OR holder = $1 OR expires_at <= now()
RETURNING
    transaction_id::text::bigint AS transaction_id,
    position,
    greatest(
        transaction_id,
        (SELECT last.transaction_id FROM audit_entries AS last ORDER BY last.transaction_id DESC LIMIT 1)
    ) >= pg_snapshot_xmax(pg_current_snapshot()) AS is_foreign
