-- audit_unpublished: how many audit entries up to the place ($1, $2) the relay has not published.
SELECT count(*)
FROM audit_entries, relay
WHERE
    (audit_entries.transaction_id, audit_entries.position) > (relay.transaction_id, relay.position)
    AND (audit_entries.transaction_id, audit_entries.position) <= ($1::text::xid8, $2)
