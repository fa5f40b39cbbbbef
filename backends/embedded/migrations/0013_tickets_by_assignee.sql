-- Lists of what somebody has in hand. Postgres has an index for them, which it can choose once it knows whose
-- tickets are asked for. SQLite plans before that, and passes over the tickets of others: nothing to make here.
SELECT 1;
