-- ticket_by_number: the ticket with the number ?1.
SELECT
    id, number, name, email, subject, message, status, priority, user_id, user_agent, url,
    client_timestamp, submitted_at, updated_at, resolved_at
FROM tickets
WHERE number = ?1
