-- tickets_of_person: up to $4 tickets of the address $1, which is in small letters, submitted up to $2, in
-- the order of their ids, those after $3. Reads all tickets there are.
SELECT id, version
FROM tickets
WHERE
    lower(email COLLATE "C") = $1
    AND submitted_at <= $2
    AND id > $3
    AND erased_at IS NULL
ORDER BY id
LIMIT $4
