-- People who were erased: what of theirs was under way then is stored erased.

-- For ever: what they submitted may come back years later, out of the dead letters.
CREATE TABLE erasures (
    -- Thirty-two hexadecimal digits of keyed hash over their address, in small letters.
    person TEXT NOT NULL CONSTRAINT erasures_pkey PRIMARY KEY,
    -- What they submitted up to then is erased, later things are not.
    erased_at TEXT NOT NULL CONSTRAINT erasures_erased_at_check
        CHECK (erased_at LIKE '____-__-__T__:__:__.___Z')
) STRICT, WITHOUT ROWID;
