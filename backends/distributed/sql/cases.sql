-- cases: the tickets with these ids ($1) or numbers ($2), each with every status it had and its tags.
SELECT
    id, number, name, email, subject, message, tickets.status, priority, user_id, user_agent, url,
    client_timestamp, submitted_at, updated_at, resolved_at,
    history.versions, history.statuses, history.times,
    version, assignee, first_reply_at, first_response_at,
    ARRAY(SELECT tag FROM ticket_tags WHERE ticket_id = tickets.id) AS tags
FROM tickets
CROSS JOIN LATERAL (
    SELECT
        array_agg(version ORDER BY version) AS versions,
        array_agg(status ORDER BY version) AS statuses,
        array_agg(at ORDER BY version) AS times
    FROM audit_entries
    WHERE ticket_id = tickets.id AND status IS NOT NULL
) AS history
WHERE id = ANY($1) OR number = ANY($2)
