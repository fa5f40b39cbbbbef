-- cases: the tickets with the ids of the JSON array ?1 or the numbers of the JSON array ?2, each with every
-- status it had and its tags, as JSON. (Postgres has arrays for all of these.)
SELECT
    tickets.id AS id, number, name, email, subject, message, tickets.status, priority, user_id, user_agent, url,
    client_timestamp, submitted_at, updated_at, resolved_at,
    (
        SELECT json_group_array(json_array(version, status, at) ORDER BY version)
        FROM audit_entries
        WHERE ticket_id = tickets.id AND status IS NOT NULL
    ) AS history,
    version, assignee, first_reply_at, first_response_at,
    (SELECT json_group_array(tag) FROM ticket_tags WHERE ticket_id = tickets.id) AS tags
FROM tickets
WHERE
    tickets.id IN (SELECT value FROM json_each(?1))
    OR tickets.number IN (SELECT value FROM json_each(?2))
