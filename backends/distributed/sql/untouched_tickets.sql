-- untouched_tickets: up to $2 tickets that nobody has touched since $1, those that are erased left out.
SELECT id, version
FROM tickets
WHERE updated_at < $1 AND erased_at IS NULL
LIMIT $2
