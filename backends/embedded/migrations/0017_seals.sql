-- Seals over what is on record: the changes of tickets, and what operators do.

-- How far what is on record is sealed. Rows are added, and never changed or deleted.
CREATE TABLE audit_seals (
    -- tickets: the table audit_entries; actions: operator_actions.
    record TEXT NOT NULL CONSTRAINT audit_seals_record_check CHECK (record IN ('tickets', 'actions')),
    -- 1 for the first of a record, and none is left out.
    number INTEGER NOT NULL,
    -- Of the last entry under the seal.
    position INTEGER NOT NULL,
    -- How many entries are under this seal and all before it.
    entries INTEGER NOT NULL,
    -- Keyed hash over all of these, in order, and over the seals between them.
    digest BLOB NOT NULL CONSTRAINT audit_seals_digest_check CHECK (length(digest) = 32),
    -- When it was set.
    sealed_at TEXT NOT NULL CONSTRAINT audit_seals_sealed_at_check
        CHECK (sealed_at LIKE '____-__-__T__:__:__.___Z'),
    CONSTRAINT audit_seals_pkey PRIMARY KEY (record, number)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER audit_seals_stay_as_they_are BEFORE UPDATE ON audit_seals
BEGIN
    SELECT RAISE(ABORT, 'what is on record stays as it is');
END;

CREATE TRIGGER audit_seals_stay BEFORE DELETE ON audit_seals
BEGIN
    SELECT RAISE(ABORT, 'what is on record stays as it is');
END;

CREATE TRIGGER audit_entries_stay_as_they_are BEFORE UPDATE ON audit_entries
BEGIN
    SELECT RAISE(ABORT, 'what is on record stays as it is');
END;

CREATE TRIGGER audit_entries_stay BEFORE DELETE ON audit_entries
BEGIN
    SELECT RAISE(ABORT, 'what is on record stays as it is');
END;
