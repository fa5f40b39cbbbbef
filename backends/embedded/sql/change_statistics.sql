-- change_statistics: counts what steps (?1, a JSON array) change.
--
-- Part of commit_steps in Postgres.
INSERT INTO statistics (dimension, value, shard, count)
SELECT count.value ->> '$.dimension', count.value ->> '$.value', 0, sum(count.value ->> '$.change')
FROM json_each(?1) AS step, json_each(step.value, '$.counts') AS count
WHERE true
GROUP BY 1, 2
ON CONFLICT (dimension, value, shard) DO UPDATE SET count = count + excluded.count
