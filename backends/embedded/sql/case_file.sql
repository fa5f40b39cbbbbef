-- case_file: what was said about the ticket ?1 (thread) and what happened to it (trail), as of one moment, each
-- as a JSON array of arrays in order.
SELECT
    (SELECT version FROM tickets WHERE id = ?1) AS version,
    (
        SELECT json_group_array(json_array(version, kind, author, body, at) ORDER BY version)
        FROM ticket_posts
        WHERE ticket_id = ?1
    ) AS thread,
    (
        SELECT json_group_array(
            json_array(version, kind, at, actor, address, request_id, json(changes)) ORDER BY version
        )
        FROM audit_entries
        WHERE ticket_id = ?1
    ) AS trail
