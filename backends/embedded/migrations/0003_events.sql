-- Audit entries are the outbox; the relay remembers how far it has read.

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
