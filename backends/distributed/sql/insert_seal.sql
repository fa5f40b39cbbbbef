-- insert_seal: sets the next seal of the record $1, if $2 is its number.
INSERT INTO audit_seals (record, number, transaction_id, position, entries, digest, sealed_at)
SELECT $1, $2, $3::text::xid8, $4, $5, $6, $7
WHERE $2 = 1 + coalesce((SELECT max(number) FROM audit_seals WHERE record = $1), 0)
ON CONFLICT (record, number) DO NOTHING
