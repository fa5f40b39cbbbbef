-- What operators did says where from. (In Postgres these columns come with the one that 0018 makes an
-- index of.)

-- The address that staff did it from.
ALTER TABLE operator_actions ADD COLUMN address TEXT;

-- The request of staff that did it.
ALTER TABLE operator_actions ADD COLUMN request_id TEXT;
