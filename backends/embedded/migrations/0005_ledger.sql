-- Submissions that were accepted and not heard of for a while.

CREATE TABLE ledger (
    -- The submission's id: a hyphenated lower-case UUID. A secret of the submitter.
    id TEXT NOT NULL CONSTRAINT ledger_pkey PRIMARY KEY,
    -- When its sender was told yes.
    accepted_at TEXT NOT NULL CONSTRAINT ledger_accepted_at_check
        CHECK (accepted_at LIKE '____-__-__T__:__:__.___Z'),
    -- 1 if it was no ticket when it could not be in the queue any more.
    is_unaccounted INTEGER NOT NULL DEFAULT 0 CONSTRAINT ledger_is_unaccounted_check
        CHECK (is_unaccounted IN (0, 1))
) STRICT, WITHOUT ROWID;
