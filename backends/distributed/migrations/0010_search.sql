-- What tickets are searched by, taken in behind their making.

CREATE TABLE ticket_search (
    ticket_id uuid     NOT NULL,
    place     bigint   NOT NULL,
    email     text     NOT NULL,
    document  tsvector NOT NULL,
    CONSTRAINT ticket_search_pkey PRIMARY KEY (ticket_id),
    CONSTRAINT ticket_search_place_key UNIQUE (place)
);
CREATE INDEX ticket_search_email_idx ON ticket_search (email, place);
-- What waits to be put in order is read by each search: no more of it than is read in a moment.
CREATE INDEX ticket_search_document_idx ON ticket_search USING gin (document)
    WITH (gin_pending_list_limit = 512);
COMMENT ON TABLE ticket_search IS 'What tickets are searched by. It follows from the tickets, and can be made anew from them.';
COMMENT ON COLUMN ticket_search.ticket_id IS 'Which ticket.';
COMMENT ON COLUMN ticket_search.place IS 'The position of the audit entry of its making: the order of the newest.';
COMMENT ON COLUMN ticket_search.email IS 'Its address, in small letters.';
COMMENT ON COLUMN ticket_search.document IS 'The words of its number and address (weight A), name (B) and message (C).';

CREATE TABLE search_progress (
    name           text   NOT NULL,
    transaction_id xid8   NOT NULL,
    position       bigint NOT NULL,
    CONSTRAINT search_progress_pkey PRIMARY KEY (name),
    CONSTRAINT search_progress_name_check CHECK (name = 'tickets')
);
COMMENT ON TABLE search_progress IS 'How far tickets are taken in to be searched. One row.';
COMMENT ON COLUMN search_progress.name IS 'tickets.';
COMMENT ON COLUMN search_progress.transaction_id IS 'Of the last audit entry that was looked at.';
COMMENT ON COLUMN search_progress.position IS 'Of the same.';
-- From the beginning: tickets that are there already are taken in as well.
INSERT INTO search_progress (name, transaction_id, position) VALUES ('tickets', '0', 0);
