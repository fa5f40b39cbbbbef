-- advance_relay: everything up to ($2, $3) is published, says $1, whose lease lasts $4 seconds more.
UPDATE relay
SET
    transaction_id = $2::text::xid8,
    position = $3,
    expires_at = now() + make_interval(secs => $4)
WHERE holder = $1 AND (transaction_id, position) <= ($2::text::xid8, $3)
