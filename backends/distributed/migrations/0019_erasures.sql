-- People who were erased: what of theirs was under way then is stored erased.

CREATE TABLE erasures (
    person    bytea          NOT NULL,
    erased_at timestamptz(3) NOT NULL,
    CONSTRAINT erasures_pkey PRIMARY KEY (person)
);
COMMENT ON TABLE erasures IS 'Whom to store erased, for ever: what they submitted may come back years later, out of the dead letters.';
COMMENT ON COLUMN erasures.person IS '16 bytes of keyed hash over their address, in small letters.';
COMMENT ON COLUMN erasures.erased_at IS 'What they submitted up to then is erased, later things are not.';

-- Whoever inserts tickets locks the rows that they read here, and so has a lock on the table before their
-- statement sees anything. This one waits for those who have it, and those who come wait for this one:
-- nobody's statement is older than the row and ends after it. A backup, which only reads, waits for nobody.
CREATE FUNCTION forget_person(bytea, timestamptz) RETURNS void LANGUAGE plpgsql
SET lock_timeout = '1s' AS $$
BEGIN
    LOCK TABLE erasures IN EXCLUSIVE MODE;
    INSERT INTO erasures AS kept (person, erased_at)
    VALUES ($1, $2)
    ON CONFLICT (person) DO UPDATE SET erased_at = greatest(kept.erased_at, excluded.erased_at);
END
$$;

COMMENT ON COLUMN installation.name IS 'number_key_fingerprint, schema_floor, or retention_turn: until when somebody looks for what is too old.';
