-- select_by_number: one row, as one would write it first.
SELECT number, subject, status, priority, submitted_at, updated_at
FROM tickets
WHERE number = $1
