-- add_statistics: counts the tickets just inserted (?1, a JSON array of ids).
--
-- Part of insert_tickets in Postgres. Counts what is stored, not what was sent.
WITH inserted AS MATERIALIZED (
    SELECT status, priority, subject, substr(submitted_at, 1, 10) AS created_on
    FROM tickets
    WHERE id IN (SELECT value FROM json_each(?1))
),
kinds (dimension, value) AS (
    SELECT 'status', status FROM inserted
    UNION ALL
    SELECT 'priority', priority FROM inserted
    UNION ALL
    SELECT 'subject', subject FROM inserted
    UNION ALL
    SELECT 'created_on', created_on FROM inserted
)
INSERT INTO statistics (dimension, value, shard, count)
SELECT dimension, value, 0, count(*)
FROM kinds
WHERE true
GROUP BY dimension, value
ON CONFLICT (dimension, value, shard) DO UPDATE SET count = count + excluded.count
