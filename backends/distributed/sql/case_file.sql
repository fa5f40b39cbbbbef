-- case_file: what was said about the ticket $1 (thread) and what happened to it (trail), as of one moment, each
-- as a JSON array of arrays in order.
SELECT
    (
        SELECT version
        FROM tickets
        WHERE id = $1
    ) AS version,
    (
        SELECT
            coalesce(json_agg(json_build_array(version, kind, author, body, at) ORDER BY version), '[]')::text
        FROM ticket_posts
        WHERE ticket_id = $1
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
        WHERE ticket_id = $1
    ) AS trail
