-- What is said about a ticket, and what it is filed under.

CREATE TABLE ticket_posts (
    ticket_id uuid           NOT NULL,
    version   integer        NOT NULL,
    kind      text           NOT NULL,
    author    text,
    body      text           NOT NULL,
    at        timestamptz(3) NOT NULL,
    CONSTRAINT ticket_posts_pkey PRIMARY KEY (ticket_id, version),
    CONSTRAINT ticket_posts_kind_check CHECK (kind IN ('reply', 'note', 'answer'))
);
COMMENT ON TABLE ticket_posts IS 'Replies and notes of staff, and the submitter''s answers.';
COMMENT ON COLUMN ticket_posts.ticket_id IS 'To which ticket.';
COMMENT ON COLUMN ticket_posts.version IS 'The change of the ticket that it is.';
COMMENT ON COLUMN ticket_posts.kind IS 'reply: of staff, to the submitter; note: of staff, among themselves; answer: of the submitter.';
COMMENT ON COLUMN ticket_posts.author IS 'The member of staff who wrote it, where the token has a name.';
COMMENT ON COLUMN ticket_posts.body IS 'As typed, trimmed.';
COMMENT ON COLUMN ticket_posts.at IS 'When.';

CREATE TABLE ticket_tags (
    tag          text           NOT NULL,
    submitted_at timestamptz(3) NOT NULL,
    ticket_id    uuid           NOT NULL,
    CONSTRAINT ticket_tags_pkey PRIMARY KEY (tag, submitted_at, ticket_id)
);
CREATE INDEX ticket_tags_ticket_id_idx ON ticket_tags (ticket_id);
COMMENT ON TABLE ticket_tags IS 'What tickets are filed under.';
COMMENT ON COLUMN ticket_tags.tag IS 'Under this word.';
COMMENT ON COLUMN ticket_tags.submitted_at IS 'The ticket''s, so that tickets of a tag are read in order.';
COMMENT ON COLUMN ticket_tags.ticket_id IS 'Which ticket.';

-- Ends a statement that was to change all or nothing, and could not change all.
CREATE FUNCTION refuse_stale() RETURNS uuid LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'somebody else was first' USING ERRCODE = 'SL001';
END
$$;
