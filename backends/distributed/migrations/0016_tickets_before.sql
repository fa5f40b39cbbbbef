-- Tallies the tickets that were there before they were tallied when they came, beside whoever inserts more.
-- Only their submission: no release before changed a ticket.
--
-- Rows that nobody else writes: shards of the others are below 16.
INSERT INTO tallies (dimension, value, shard, amount)
SELECT 'submitted_in', quarter_of(quarter), 16, tickets
FROM (
    SELECT date_bin('15 minutes', tickets.submitted_at, 'epoch') AS quarter, count(*) AS tickets
    FROM tickets
    JOIN audit_entries ON audit_entries.ticket_id = tickets.id AND audit_entries.kind = 'ticket.created'
    WHERE
        pg_visible_in_snapshot(
            audit_entries.transaction_id,
            (SELECT value::pg_snapshot FROM installation WHERE name = 'tallied_since')
        )
    GROUP BY quarter
) AS quarters;

-- Whoever knows one of these days as it was until now reads it again.
INSERT INTO tallies (dimension, value, shard, amount)
SELECT 'revised', left(value, 10), 16, 1
FROM tallies
WHERE dimension = 'submitted_in' AND shard = 16
GROUP BY left(value, 10);
