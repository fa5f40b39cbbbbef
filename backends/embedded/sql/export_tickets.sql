-- export_tickets: of the next ?2 tickets behind the id ?1, in the order of their ids, those of these statuses (?3),
-- priorities (?4) and subjects (?5; JSON arrays, each may be empty: any) that were submitted from ?6 and before ?7 (or
-- NULL), and the last one in any case, behind which the next page begins. One that is not wanted says so.
WITH looked_at AS MATERIALIZED (
    SELECT
        id, number, name, email, subject, message, status, priority, user_id, submitted_at, updated_at, resolved_at,
        assignee
    FROM tickets
    WHERE id > ?1
    ORDER BY id
    LIMIT ?2
),
judged AS (
    SELECT
        looked_at.*,
        (json_array_length(?3) = 0 OR status IN (SELECT value FROM json_each(?3)))
        AND (json_array_length(?4) = 0 OR priority IN (SELECT value FROM json_each(?4)))
        AND (json_array_length(?5) = 0 OR subject IN (SELECT value FROM json_each(?5)))
        AND (?6 IS NULL OR submitted_at >= ?6)
        AND (?7 IS NULL OR submitted_at < ?7) AS is_wanted
    FROM looked_at
)
SELECT
    id, number, name, email, subject, message, status, priority, user_id, submitted_at, updated_at, resolved_at,
    assignee, (SELECT json_group_array(tag) FROM ticket_tags WHERE ticket_id = judged.id) AS tags, is_wanted
FROM judged
WHERE is_wanted OR id = (SELECT id FROM looked_at ORDER BY id DESC LIMIT 1)
ORDER BY id
