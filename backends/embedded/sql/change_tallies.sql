-- change_tallies: tallies what steps (?1, a JSON array) change.
--
-- Part of commit_steps in Postgres.
INSERT INTO tallies (dimension, value, shard, amount)
SELECT tally.value ->> '$.dimension', tally.value ->> '$.value', 0, sum(tally.value ->> '$.change')
FROM json_each(?1) AS step, json_each(step.value, '$.tallies') AS tally
WHERE true
GROUP BY 1, 2
ON CONFLICT (dimension, value, shard) DO UPDATE SET amount = amount + excluded.amount
