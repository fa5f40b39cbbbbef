-- The first schema. Forward only: a later file expands it, a later one still may contract it.

CREATE TABLE tickets (
    id               uuid           NOT NULL,
    number           text           NOT NULL,
    name             text           NOT NULL,
    email            text           NOT NULL,
    subject          text           NOT NULL,
    message          text           NOT NULL,
    status           text           NOT NULL,
    priority         text           NOT NULL,
    user_id          text,
    user_agent       text,
    url              text,
    client_timestamp text           NOT NULL,
    submitted_at     timestamptz(3) NOT NULL,
    updated_at       timestamptz(3) NOT NULL,
    resolved_at      timestamptz(3),
    fingerprint      bytea          NOT NULL,
    request_id       text           NOT NULL,
    traceparent      text           NOT NULL,
    CONSTRAINT tickets_pkey PRIMARY KEY (id),
    CONSTRAINT tickets_number_key UNIQUE (number),
    CONSTRAINT tickets_subject_check CHECK (subject IN ('technical', 'billing', 'feature', 'account', 'general')),
    CONSTRAINT tickets_status_check CHECK (status IN ('open', 'in-progress', 'resolved', 'closed')),
    CONSTRAINT tickets_priority_check CHECK (priority IN ('high', 'medium', 'low'))
);
COMMENT ON TABLE tickets IS 'One row a stored submission.';
COMMENT ON COLUMN tickets.id IS 'The submission''s id, a UUIDv7; a secret of the submitter.';
COMMENT ON COLUMN tickets.number IS 'The public number, SUP-YYYY-NNNNNN.';
COMMENT ON COLUMN tickets.name IS 'As typed, trimmed.';
COMMENT ON COLUMN tickets.email IS 'As typed.';
COMMENT ON COLUMN tickets.subject IS 'What it is about.';
COMMENT ON COLUMN tickets.message IS 'As typed, trimmed.';
COMMENT ON COLUMN tickets.status IS 'How far it has come.';
COMMENT ON COLUMN tickets.priority IS 'How soon somebody should look.';
COMMENT ON COLUMN tickets.user_id IS 'Who the submitter claims to be logged in as.';
COMMENT ON COLUMN tickets.user_agent IS 'The submitter''s browser, by its own word.';
COMMENT ON COLUMN tickets.url IS 'The page the form stood on, by its own word.';
COMMENT ON COLUMN tickets.client_timestamp IS 'The submitter''s own time, to the letter; never used as ours.';
COMMENT ON COLUMN tickets.submitted_at IS 'When the edge accepted it; its UTC year is the number''s.';
COMMENT ON COLUMN tickets.updated_at IS 'When it last changed.';
COMMENT ON COLUMN tickets.resolved_at IS 'When it was last resolved, if it is.';
COMMENT ON COLUMN tickets.fingerprint IS '16 bytes of SHA-256 over the form: tells a repeat from a conflict.';
COMMENT ON COLUMN tickets.request_id IS 'The request that brought it.';
COMMENT ON COLUMN tickets.traceparent IS 'Its W3C trace context.';

CREATE TABLE audit_entries (
    position    bigint         GENERATED ALWAYS AS IDENTITY,
    ticket_id   uuid           NOT NULL,
    kind        text           NOT NULL,
    status      text,
    at          timestamptz(3) NOT NULL,
    actor       text           NOT NULL,
    request_id  text           NOT NULL,
    traceparent text           NOT NULL,
    CONSTRAINT audit_entries_pkey PRIMARY KEY (position)
);
CREATE INDEX audit_entries_ticket_id_idx ON audit_entries (ticket_id);
COMMENT ON TABLE audit_entries IS 'What happened to tickets, written in the transaction that did it.';
COMMENT ON COLUMN audit_entries.position IS 'Order of writing. Transactions may commit out of this order.';
COMMENT ON COLUMN audit_entries.ticket_id IS 'To which ticket. No foreign key: entries outlive an erased ticket.';
COMMENT ON COLUMN audit_entries.kind IS 'What happened, as the event is named: ticket.created.';
COMMENT ON COLUMN audit_entries.status IS 'The status the ticket thereby reached, if it changed.';
COMMENT ON COLUMN audit_entries.at IS 'When.';
COMMENT ON COLUMN audit_entries.actor IS 'Who did it: submitter.';
COMMENT ON COLUMN audit_entries.request_id IS 'The request that caused it.';
COMMENT ON COLUMN audit_entries.traceparent IS 'Its W3C trace context.';

CREATE TABLE ticket_counters (
    year integer NOT NULL,
    next bigint  NOT NULL,
    CONSTRAINT ticket_counters_pkey PRIMARY KEY (year)
);
COMMENT ON TABLE ticket_counters IS 'How many ticket numbers of each year were handed out.';
COMMENT ON COLUMN ticket_counters.year IS 'A UTC year.';
COMMENT ON COLUMN ticket_counters.next IS 'The counter the next ticket of that year gets.';

CREATE TABLE statistics (
    dimension text     NOT NULL,
    value     text     NOT NULL,
    shard     smallint NOT NULL,
    count     bigint   NOT NULL,
    CONSTRAINT statistics_pkey PRIMARY KEY (dimension, value, shard)
) WITH (fillfactor = 50); -- every batch updates a few rows: leave room to do so in place
COMMENT ON TABLE statistics IS 'Counts of tickets, kept in the transactions that change them.';
COMMENT ON COLUMN statistics.dimension IS 'status, priority, subject, created_on or resolved_on.';
COMMENT ON COLUMN statistics.value IS 'Which of them; a UTC day as YYYY-MM-DD.';
COMMENT ON COLUMN statistics.shard IS 'Spreads writers over rows; the count is the sum over shards.';
COMMENT ON COLUMN statistics.count IS 'Tickets; one shard alone may be negative.';

CREATE TABLE installation (
    name  text NOT NULL,
    value text NOT NULL,
    CONSTRAINT installation_pkey PRIMARY KEY (name)
);
COMMENT ON TABLE installation IS 'What this installation must not forget.';
COMMENT ON COLUMN installation.name IS 'number_key_fingerprint.';
COMMENT ON COLUMN installation.value IS 'Its value.';
