-- select_by_id: one row, as one would write it first.
SELECT number, subject, status, priority, submitted_at, updated_at
FROM tickets
WHERE id = $1
