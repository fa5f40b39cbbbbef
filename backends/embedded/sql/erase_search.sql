-- erase_search: forgets what the tickets ?1 (a JSON array of ids) are searched by.
--
-- Part of erase_tickets in Postgres.
DELETE FROM ticket_search
WHERE ticket_id IN (SELECT value FROM json_each(?1))
