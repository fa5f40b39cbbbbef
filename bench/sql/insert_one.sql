-- insert_one: one row, as one would write it first, into a table like the product's.
INSERT INTO floor.tickets (
    id, number, name, email, subject, message, status, priority, user_id, user_agent, url,
    client_timestamp, submitted_at, updated_at, fingerprint, request_id, traceparent
)
VALUES ($1, $2, $3, $4, $5, $6, 'open', 'high', $7, $8, $9, $10, $11, $11, '', '', '')
