-- ticket_by_key: the ticket that was sent under the key ?1, with every status it had, in order, as JSON.
SELECT
    id, number, name, email, subject, message, tickets.status, priority, user_id, user_agent, url,
    client_timestamp, submitted_at, updated_at, resolved_at,
    (
        SELECT json_group_array(json_array(version, status, at) ORDER BY version)
        FROM audit_entries
        WHERE ticket_id = tickets.id AND status IS NOT NULL
    ) AS history
FROM idempotency_keys
JOIN tickets ON tickets.id = idempotency_keys.ticket_id
WHERE idempotency_keys.key_hash = ?1
