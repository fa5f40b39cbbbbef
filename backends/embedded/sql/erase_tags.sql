-- erase_tags: takes the tickets ?1 (a JSON array of ids) out of where they were filed.
--
-- Part of erase_tickets in Postgres.
DELETE FROM ticket_tags
WHERE ticket_id IN (SELECT value FROM json_each(?1))
