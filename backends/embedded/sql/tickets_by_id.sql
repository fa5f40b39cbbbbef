-- tickets_by_id: the tickets with the ids of the JSON array ?1, each with every status it had and
-- what was written, in order, as JSON. (Postgres has arrays for both.)
SELECT
    tickets.id AS id, number, name, email, subject, message, tickets.status, priority, user_id, user_agent, url,
    client_timestamp, submitted_at, updated_at, resolved_at,
    (
        SELECT json_group_array(json_array(version, status, at) ORDER BY version)
        FROM audit_entries
        WHERE ticket_id = tickets.id AND status IS NOT NULL
    ) AS history,
    (
        SELECT json_group_array(json_array(version, kind, author, body, at) ORDER BY version)
        FROM ticket_posts
        WHERE ticket_id = tickets.id AND kind <> 'note'
    ) AS replies
FROM json_each(?1) AS asked
CROSS JOIN tickets ON tickets.id = asked.value
