-- tickets_by_number: the tickets with these numbers, each with every status it had, in order.
SELECT
    id, number, name, email, subject, message, tickets.status, priority, user_id, user_agent, url,
    client_timestamp, submitted_at, updated_at, resolved_at,
    history.versions, history.statuses, history.times
FROM tickets
CROSS JOIN LATERAL (
    SELECT
        array_agg(version ORDER BY version) AS versions,
        array_agg(status ORDER BY version) AS statuses,
        array_agg(at ORDER BY version) AS times
    FROM audit_entries
    WHERE ticket_id = tickets.id AND status IS NOT NULL
) AS history
WHERE number = ANY($1)
