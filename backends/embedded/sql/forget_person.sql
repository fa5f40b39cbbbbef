-- forget_person: what the person ?1 has submitted up to ?2 is to be stored erased. One transaction writes
-- at a time; in Postgres a function sees to it that none is left out.
INSERT INTO erasures AS kept (person, erased_at)
VALUES (?1, ?2)
ON CONFLICT (person) DO UPDATE SET erased_at = max(kept.erased_at, excluded.erased_at)
