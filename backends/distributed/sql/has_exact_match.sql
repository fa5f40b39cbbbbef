-- has_exact_match: whether there is a ticket of the number $1, or one of the address $2, in small letters, among
-- what was taken in up to $3.
SELECT
    EXISTS (
        SELECT FROM ticket_search WHERE ticket_id = (SELECT id FROM tickets WHERE number = $1) AND place <= $3
    )
    OR EXISTS (SELECT FROM ticket_search WHERE email IN ($2, lower($2)) AND place <= $3)
