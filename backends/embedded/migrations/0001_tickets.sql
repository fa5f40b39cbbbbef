-- What a submission becomes, its history, and the counts over all of them.
--
-- Times are RFC 3339 in UTC with milliseconds, as text: they sort as they read, and a reporting
-- tool needs no conversion. SQLite keeps comments in its schema, so `.schema` shows these.

CREATE TABLE tickets (
    -- The submission's id: a hyphenated lower-case UUID. A secret of the submitter.
    id TEXT NOT NULL CONSTRAINT tickets_pkey PRIMARY KEY,
    -- SUP-YYYY-NNNNNN, what people call the ticket. Unique by the index below.
    number TEXT NOT NULL,
    -- Who asks.
    name TEXT NOT NULL,
    -- Where the answer goes.
    email TEXT NOT NULL,
    -- What it is about.
    subject TEXT NOT NULL CONSTRAINT tickets_subject_check
        CHECK (subject IN ('technical', 'billing', 'feature', 'account', 'general')),
    -- What they say.
    message TEXT NOT NULL,
    -- How far it has come.
    status TEXT NOT NULL CONSTRAINT tickets_status_check
        CHECK (status IN ('open', 'in-progress', 'resolved', 'closed')),
    -- How soon somebody should look.
    priority TEXT NOT NULL CONSTRAINT tickets_priority_check
        CHECK (priority IN ('high', 'medium', 'low')),
    -- Who the form says is logged in; a claim.
    user_id TEXT,
    -- The submitter's browser.
    user_agent TEXT,
    -- The page the form stood on.
    url TEXT,
    -- The submitter's own time, as it was sent.
    client_timestamp TEXT NOT NULL,
    -- When the edge accepted it. Statistics cut the day out of it, hence the check of its shape.
    submitted_at TEXT NOT NULL CONSTRAINT tickets_submitted_at_check
        CHECK (submitted_at LIKE '____-__-__T__:__:__.___Z'),
    -- When it last changed.
    updated_at TEXT NOT NULL CONSTRAINT tickets_updated_at_check
        CHECK (updated_at LIKE '____-__-__T__:__:__.___Z'),
    -- When it was last resolved, if it is.
    resolved_at TEXT CONSTRAINT tickets_resolved_at_check
        CHECK (resolved_at LIKE '____-__-__T__:__:__.___Z'),
    -- Tells the same form sent again from another one under the same id.
    fingerprint BLOB NOT NULL CONSTRAINT tickets_fingerprint_check
        CHECK (length(fingerprint) = 16),
    -- The request that brought it.
    request_id TEXT NOT NULL,
    -- Its W3C trace context.
    traceparent TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX tickets_number_key ON tickets (number);

CREATE TABLE audit_entries (
    -- The order of events. Never reused, so whoever reads on from a position misses none.
    position INTEGER NOT NULL CONSTRAINT audit_entries_pkey PRIMARY KEY AUTOINCREMENT,
    -- What it happened to. No foreign key: entries outlive an erased ticket.
    ticket_id TEXT NOT NULL,
    -- What happened: ticket.created …
    kind TEXT NOT NULL,
    -- What the status became, if it did change.
    status TEXT CONSTRAINT audit_entries_status_check
        CHECK (status IN ('open', 'in-progress', 'resolved', 'closed')),
    -- When.
    at TEXT NOT NULL CONSTRAINT audit_entries_at_check
        CHECK (at LIKE '____-__-__T__:__:__.___Z'),
    -- Who did it: submitter …
    actor TEXT NOT NULL,
    -- The request that caused it.
    request_id TEXT NOT NULL,
    -- Its W3C trace context.
    traceparent TEXT NOT NULL
) STRICT;

CREATE INDEX audit_entries_ticket_id_idx ON audit_entries (ticket_id);

CREATE TABLE ticket_counters (
    -- The UTC year of submission.
    year INTEGER NOT NULL CONSTRAINT ticket_counters_pkey PRIMARY KEY,
    -- The next counter nobody has; how many were handed out.
    next INTEGER NOT NULL CONSTRAINT ticket_counters_next_check CHECK (next >= 0)
) STRICT;

CREATE TABLE statistics (
    -- status, priority, subject, created_on or resolved_on.
    dimension TEXT NOT NULL CONSTRAINT statistics_dimension_check
        CHECK (dimension IN ('status', 'priority', 'subject', 'created_on', 'resolved_on')),
    -- Which of them; for the last two a UTC day, YYYY-MM-DD.
    value TEXT NOT NULL,
    -- Always 0: shards keep writers from waiting for one row, and SQLite has one writer anyway.
    shard INTEGER NOT NULL,
    -- How many tickets; a count is the sum over its shards.
    count INTEGER NOT NULL,
    CONSTRAINT statistics_pkey PRIMARY KEY (dimension, value, shard)
) STRICT, WITHOUT ROWID;

CREATE TABLE installation (
    -- number_key_fingerprint …
    name TEXT NOT NULL CONSTRAINT installation_pkey PRIMARY KEY,
    -- What it is.
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- On a broker this is a queue.
CREATE TABLE dead_letters (
    -- The order of burial.
    id INTEGER NOT NULL CONSTRAINT dead_letters_pkey PRIMARY KEY AUTOINCREMENT,
    -- An envelope, or the bytes that are none.
    body BLOB NOT NULL,
    -- Why, for programs.
    code TEXT NOT NULL,
    -- Why, for people.
    detail TEXT NOT NULL,
    -- When a worker gave it up.
    first_seen_at TEXT NOT NULL CONSTRAINT dead_letters_first_seen_at_check
        CHECK (first_seen_at LIKE '____-__-__T__:__:__.___Z'),
    -- How often it was delivered.
    attempts INTEGER NOT NULL
) STRICT;
