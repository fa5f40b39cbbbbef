-- Audit entries become the outbox: each says which change of its ticket it is, and the relay
-- remembers how far it has read. In Postgres entries also say which transaction wrote them; here
-- transactions write one after the other, so that positions are the order of commits.

-- How many changes it has had, its creation included. Whoever changes it says which version they saw.
ALTER TABLE tickets ADD COLUMN version INTEGER NOT NULL DEFAULT 1;

-- The ticket's version that it thereby reached.
ALTER TABLE audit_entries ADD COLUMN version INTEGER NOT NULL DEFAULT 1;

-- How far events are published. One row. The lease is in the memory of the one process that serves
-- the folder.
CREATE TABLE relay (
    -- events.
    name TEXT NOT NULL CONSTRAINT relay_pkey PRIMARY KEY
        CONSTRAINT relay_name_check CHECK (name = 'events'),
    -- Of the last audit entry that is published.
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO relay (name, position) VALUES ('events', 0);
