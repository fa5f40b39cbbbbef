-- insert_actions: puts actions on record, in the order in which they stand: times ($1), actors ($2),
-- actions ($3), subjects ($4), details ($5), addresses ($6) and requests ($7).
INSERT INTO operator_actions (acted_at, actor, action, subject, details, address, request_id)
SELECT
    given.acted_at, given.actor, given.action, given.subject, given.details::json, given.address,
    given.request_id
FROM unnest(
    $1::timestamptz[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[]
) WITH ORDINALITY AS given (
    acted_at, actor, action, subject, details, address, request_id, place
)
ORDER BY given.place
