-- insert_change_entries: the trail of the steps that took effect (?1, a JSON array).
--
-- Part of commit_steps in Postgres.
INSERT INTO audit_entries (
    ticket_id, version, kind, status, at, actor, address, request_id, traceparent, changes
)
SELECT
    step.value ->> '$.id',
    entry.value ->> '$.version',
    entry.value ->> '$.kind',
    entry.value ->> '$.status',
    step.value ->> '$.updated_at',
    step.value ->> '$.actor',
    step.value ->> '$.address',
    step.value ->> '$.request_id',
    step.value ->> '$.traceparent',
    entry.value ->> '$.changes'
FROM json_each(?1) AS step, json_each(step.value, '$.entries') AS entry
ORDER BY step.key, entry.key
