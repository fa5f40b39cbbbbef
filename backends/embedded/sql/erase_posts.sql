-- erase_posts: takes what was said out of the threads of the tickets ?1 (a JSON array of ids).
--
-- Part of erase_tickets in Postgres.
UPDATE ticket_posts
SET body = ''
WHERE ticket_id IN (SELECT value FROM json_each(?1))
