-- tickets_by_id: the tickets with these ids, each with every status it had and what was written, in order.
SELECT
    id, number, name, email, subject, message, tickets.status, priority, user_id, user_agent, url,
    client_timestamp, submitted_at, updated_at, resolved_at,
    history.versions, history.statuses, history.times,
    (
        SELECT json_agg(json_build_array(version, kind, author, body, at) ORDER BY version)::text
        FROM ticket_posts
        WHERE ticket_id = tickets.id AND kind <> 'note'
    ) AS replies
FROM tickets
CROSS JOIN LATERAL (
    SELECT
        array_agg(version ORDER BY version) AS versions,
        array_agg(status ORDER BY version) AS statuses,
        array_agg(at ORDER BY version) AS times
    FROM audit_entries
    WHERE ticket_id = tickets.id AND status IS NOT NULL
) AS history
WHERE id = ANY($1)
