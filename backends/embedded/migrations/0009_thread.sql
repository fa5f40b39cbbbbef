-- What is said about a ticket, and what it is filed under.

-- Replies and notes of staff, and the submitter's answers.
CREATE TABLE ticket_posts (
    -- To which ticket.
    ticket_id TEXT NOT NULL,
    -- The change of the ticket that it is.
    version INTEGER NOT NULL,
    -- reply: of staff, to the submitter; note: of staff, among themselves; answer: of the submitter.
    kind TEXT NOT NULL CONSTRAINT ticket_posts_kind_check CHECK (kind IN ('reply', 'note', 'answer')),
    -- The member of staff who wrote it, where the token has a name.
    author TEXT,
    -- As typed, trimmed.
    body TEXT NOT NULL,
    -- When.
    at TEXT NOT NULL CONSTRAINT ticket_posts_at_check CHECK (at LIKE '____-__-__T__:__:__.___Z'),
    CONSTRAINT ticket_posts_pkey PRIMARY KEY (ticket_id, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE ticket_tags (
    -- Under this word.
    tag TEXT NOT NULL,
    -- The ticket's, so that tickets of a tag are read in order.
    submitted_at TEXT NOT NULL,
    -- Which ticket.
    ticket_id TEXT NOT NULL,
    CONSTRAINT ticket_tags_pkey PRIMARY KEY (tag, submitted_at, ticket_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX ticket_tags_ticket_id_idx ON ticket_tags (ticket_id);
