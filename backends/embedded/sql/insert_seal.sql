-- insert_seal: sets the next seal of the record ?1, if ?2 is its number.
INSERT INTO audit_seals (record, number, position, entries, digest, sealed_at)
SELECT ?1, ?2, ?3, ?4, ?5, ?6
WHERE ?2 = 1 + coalesce((SELECT max(number) FROM audit_seals WHERE record = ?1), 0)
ON CONFLICT (record, number) DO NOTHING
