-- ticket_by_key: the ticket that was sent under this key, with every status it had, in order.
SELECT
    id, number, name, email, subject, message, tickets.status, priority, user_id, user_agent, url,
    client_timestamp, submitted_at, updated_at, resolved_at,
    history.versions, history.statuses, history.times
FROM idempotency_keys
JOIN tickets ON tickets.id = idempotency_keys.ticket_id
CROSS JOIN LATERAL (
    SELECT
        array_agg(version ORDER BY version) AS versions,
        array_agg(status ORDER BY version) AS statuses,
        array_agg(at ORDER BY version) AS times
    FROM audit_entries
    WHERE ticket_id = tickets.id AND status IS NOT NULL
) AS history
WHERE idempotency_keys.key_hash = $1
