-- insert_dead_letter: buries one. On a broker a message to a queue.
INSERT INTO dead_letters (body, code, detail, first_seen_at, attempts)
VALUES (?1, ?2, ?3, ?4, ?5)
