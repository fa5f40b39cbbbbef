-- insert_actions: puts actions on record, in the order in which they stand: times ($1), actors ($2),
-- actions ($3), subjects ($4) and details ($5).
INSERT INTO operator_actions (acted_at, actor, action, subject, details)
SELECT given.acted_at, given.actor, given.action, given.subject, given.details::json
FROM unnest($1::timestamptz[], $2::text[], $3::text[], $4::text[], $5::text[])
    WITH ORDINALITY AS given (acted_at, actor, action, subject, details, place)
ORDER BY given.place
