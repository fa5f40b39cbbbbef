-- insert_many: the rows of arrays, one a column, into a table like the product's.
INSERT INTO floor.tickets (
    id, number, name, email, subject, message, status, priority, user_id, user_agent, url,
    client_timestamp, submitted_at, updated_at, fingerprint, request_id, traceparent
)
SELECT
    id, number, name, email, subject, message, 'open', 'high', user_id, user_agent, url,
    client_timestamp, submitted_at, submitted_at, fingerprint, request_id, traceparent
FROM unnest(
    $1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::text[], $11::timestamptz[], $12::bytea[], $13::text[], $14::text[]
) AS batch (
    id, number, name, email, subject, message, user_id, user_agent, url, client_timestamp,
    submitted_at, fingerprint, request_id, traceparent
)
