-- Tallies the tickets that were there before they were tallied when they came, and whatever came since anew.
-- Only their submission: no release before changed a ticket.
DELETE FROM tallies WHERE dimension = 'submitted_in';

INSERT INTO tallies (dimension, value, shard, amount)
SELECT
    'submitted_in',
    substr(submitted_at, 1, 14) || printf('%02d', substr(submitted_at, 15, 2) / 15 * 15) || 'Z' AS quarter,
    0,
    count(*)
FROM tickets
GROUP BY quarter;

-- Whoever knows one of these days as it was until now reads it again.
INSERT INTO tallies (dimension, value, shard, amount)
SELECT 'revised', substr(value, 1, 10) AS day, 0, 1
FROM tallies
WHERE dimension = 'submitted_in'
GROUP BY day
ON CONFLICT (dimension, value, shard) DO UPDATE SET amount = amount + 1;
