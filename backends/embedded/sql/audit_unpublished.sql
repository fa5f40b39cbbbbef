-- audit_unpublished: how many audit entries up to the position ?1 the relay has not published.
SELECT count(*)
FROM audit_entries, relay
WHERE audit_entries.position > relay.position AND audit_entries.position <= ?1
