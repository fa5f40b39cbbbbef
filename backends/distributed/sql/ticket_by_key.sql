-- ticket_by_key: the ticket that was sent under this key.
SELECT
    id, number, name, email, subject, message, status, priority, user_id, user_agent, url,
    client_timestamp, submitted_at, updated_at, resolved_at
FROM tickets
JOIN idempotency_keys ON idempotency_keys.ticket_id = tickets.id
WHERE idempotency_keys.key_hash = $1
