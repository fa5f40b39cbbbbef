-- case_file: the ticket with the id ?1 or the number ?2 as in cases, what was said about it (thread) and what
-- happened to it (trail), each as a JSON array of arrays in order. One statement, so all as of one moment.
SELECT
    tickets.id AS id, number, name, email, subject, message, tickets.status, priority, user_id, user_agent, url,
    client_timestamp, submitted_at, updated_at, resolved_at,
    (
        SELECT json_group_array(json_array(version, status, at) ORDER BY version)
        FROM audit_entries
        WHERE ticket_id = tickets.id AND status IS NOT NULL
    ) AS history,
    version, assignee, first_reply_at, first_response_at,
    (SELECT json_group_array(tag) FROM ticket_tags WHERE ticket_id = tickets.id) AS tags,
    (
        SELECT json_group_array(json_array(version, kind, author, body, at) ORDER BY version)
        FROM ticket_posts
        WHERE ticket_id = tickets.id
    ) AS thread,
    (
        SELECT json_group_array(
            json_array(version, kind, at, actor, address, request_id, json(changes)) ORDER BY version
        )
        FROM audit_entries
        WHERE ticket_id = tickets.id
    ) AS trail
FROM tickets
WHERE tickets.id = ?1 OR tickets.number = ?2
