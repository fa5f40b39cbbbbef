-- insert_actions: puts actions on record, in the order in which they stand (?1, a JSON array of
-- objects).
INSERT INTO operator_actions (acted_at, actor, action, subject, details, address, request_id)
SELECT
    value ->> '$.acted_at',
    value ->> '$.actor',
    value ->> '$.action',
    value ->> '$.subject',
    value ->> '$.details',
    value ->> '$.address',
    value ->> '$.request_id'
FROM json_each(?1)
ORDER BY key
