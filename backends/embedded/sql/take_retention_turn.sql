-- take_retention_turn: nobody else is given a turn before ?2, if nobody has one now (?1).
INSERT INTO installation AS kept (name, value)
VALUES ('retention_turn', ?2)
ON CONFLICT (name) DO UPDATE SET value = excluded.value
WHERE kept.value <= ?1
