-- erase_tag_changes: takes what the tickets ?1 (a JSON array of ids) were filed under out of their trails.
-- It is staff's words, and may be about a person.
--
-- Part of erase_tickets in Postgres.
UPDATE audit_entries
SET changes = '{"tags":{"before":[],"after":[]}}'
WHERE kind = 'ticket.tagged' AND ticket_id IN (SELECT value FROM json_each(?1))
