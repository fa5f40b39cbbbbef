-- What operators keep, and what they do with dead letters.

CREATE TABLE tokens (
    -- The first twelve hexadecimal digits of the hash.
    id TEXT NOT NULL CONSTRAINT tokens_pkey PRIMARY KEY,
    -- SHA-256 of the token, which nobody keeps but its holder.
    digest BLOB NOT NULL CONSTRAINT tokens_digest_check CHECK (length(digest) = 32),
    -- What its maker called it.
    name TEXT,
    -- What it admits to.
    role TEXT NOT NULL CONSTRAINT tokens_role_check CHECK (role IN ('admin', 'agent', 'stats')),
    -- When it was made.
    created_at TEXT NOT NULL CONSTRAINT tokens_created_at_check
        CHECK (created_at LIKE '____-__-__T__:__:__.___Z'),
    -- From when on it admits nobody; never, if null.
    expires_at TEXT CONSTRAINT tokens_expires_at_check
        CHECK (expires_at LIKE '____-__-__T__:__:__.___Z'),
    -- When it was revoked, if it was.
    revoked_at TEXT CONSTRAINT tokens_revoked_at_check
        CHECK (revoked_at LIKE '____-__-__T__:__:__.___Z')
) STRICT;

-- When an operator asked for it to be tried again. The process that serves the folder looks for
-- these, gives them to its workers, and deletes them when they have settled them.
ALTER TABLE dead_letters ADD COLUMN requeued_at TEXT CONSTRAINT dead_letters_requeued_at_check
    CHECK (requeued_at LIKE '____-__-__T__:__:__.___Z');

CREATE INDEX dead_letters_requeued_idx ON dead_letters (id) WHERE requeued_at IS NOT NULL;
