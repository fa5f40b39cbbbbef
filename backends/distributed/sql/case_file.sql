-- case_file: the ticket with the id $1 or the number $2 as in cases, what was said about it (thread) and what
-- happened to it (trail), each as a JSON array of arrays in order. One statement, so all as of one moment.
SELECT
    id, number, name, email, subject, message, tickets.status, priority, user_id, user_agent, url,
    client_timestamp, submitted_at, updated_at, resolved_at,
    history.versions, history.statuses, history.times,
    version, assignee, first_reply_at, first_response_at,
    ARRAY(SELECT tag FROM ticket_tags WHERE ticket_id = tickets.id) AS tags,
    (
        SELECT
            coalesce(json_agg(json_build_array(version, kind, author, body, at) ORDER BY version), '[]')::text
        FROM ticket_posts
        WHERE ticket_id = tickets.id
    ) AS thread,
    (
        SELECT
            coalesce(
                json_agg(
                    json_build_array(version, kind, at, actor, address, request_id, changes)
                    ORDER BY version
                ),
                '[]'
            )::text
        FROM audit_entries
        WHERE ticket_id = tickets.id
    ) AS trail
FROM tickets
CROSS JOIN LATERAL (
    SELECT
        array_agg(version ORDER BY version) AS versions,
        array_agg(status ORDER BY version) AS statuses,
        array_agg(at ORDER BY version) AS times
    FROM audit_entries
    WHERE ticket_id = tickets.id AND status IS NOT NULL
) AS history
WHERE id = $1 OR number = $2
