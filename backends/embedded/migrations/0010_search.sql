-- What tickets are searched by, taken in behind their making.

-- Which tickets are taken in. What goes with one comes and goes with its row here, by the triggers.
CREATE TABLE ticket_search (
    -- The position of the audit entry of its making: the order of the newest.
    place INTEGER NOT NULL CONSTRAINT ticket_search_place_key PRIMARY KEY,
    -- Which ticket.
    ticket_id TEXT NOT NULL,
    -- Its address, in small letters.
    email TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX ticket_search_pkey ON ticket_search (ticket_id);

CREATE INDEX ticket_search_email_idx ON ticket_search (email, place);

-- The words of a ticket, under its place.
CREATE VIRTUAL TABLE ticket_words USING fts5 (
    number, email, name, message,
    tokenize = 'unicode61 remove_diacritics 0',
    prefix = '2 3'
);

-- What is deleted is gone from the index too, and not only marked as gone.
INSERT INTO ticket_words (ticket_words, rank) VALUES ('secure-delete', 1);

CREATE TRIGGER ticket_search_taken_in AFTER INSERT ON ticket_search
BEGIN
    INSERT INTO ticket_words (rowid, number, email, name, message)
    SELECT NEW.place, number, email, name, message FROM tickets WHERE id = NEW.ticket_id;
END;

CREATE TRIGGER ticket_search_forgotten AFTER DELETE ON ticket_search
BEGIN
    DELETE FROM ticket_words WHERE rowid = OLD.place;
END;

-- How far tickets are taken in. One row.
CREATE TABLE search_progress (
    -- tickets.
    name TEXT NOT NULL CONSTRAINT search_progress_pkey PRIMARY KEY
        CONSTRAINT search_progress_name_check CHECK (name = 'tickets'),
    -- Of the last audit entry that was looked at.
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- From the beginning: tickets that are there already are taken in as well.
INSERT INTO search_progress (name, position) VALUES ('tickets', 0);
