-- Audit entries become the outbox: each says which change of its ticket it is and which transaction
-- wrote it, and the relay remembers how far it has read.

ALTER TABLE tickets ADD COLUMN version integer NOT NULL DEFAULT 1;
COMMENT ON COLUMN tickets.version IS 'How many changes it has had, its creation included. Whoever changes it says which version they saw.';

ALTER TABLE audit_entries ADD COLUMN version integer NOT NULL DEFAULT 1;
COMMENT ON COLUMN audit_entries.version IS 'The ticket''s version that it thereby reached.';

-- Entries that are there already were written by no transaction that is still to come: 3 is the
-- first number a transaction can have.
ALTER TABLE audit_entries ADD COLUMN transaction_id xid8 NOT NULL DEFAULT '3';
ALTER TABLE audit_entries ALTER COLUMN transaction_id SET DEFAULT pg_current_xact_id();
COMMENT ON COLUMN audit_entries.transaction_id IS 'Who wrote it. What ended transactions wrote, in order of this and position, is never preceded by anything new.';
CREATE INDEX audit_entries_outbox_idx ON audit_entries (transaction_id, position);

CREATE TABLE relay (
    name           text   NOT NULL,
    transaction_id xid8   NOT NULL,
    position       bigint NOT NULL,
    holder         text,
    expires_at     timestamptz(3),
    CONSTRAINT relay_pkey PRIMARY KEY (name),
    CONSTRAINT relay_name_check CHECK (name = 'events'),
    CONSTRAINT relay_lease_check CHECK ((holder IS NULL) = (expires_at IS NULL))
);
COMMENT ON TABLE relay IS 'How far events are published, and by whom. One row.';
COMMENT ON COLUMN relay.name IS 'events.';
COMMENT ON COLUMN relay.transaction_id IS 'Of the last audit entry that is published.';
COMMENT ON COLUMN relay.position IS 'Of the same.';
COMMENT ON COLUMN relay.holder IS 'The worker that relays, if one does.';
COMMENT ON COLUMN relay.expires_at IS 'When another may take over, by this server''s clock.';
INSERT INTO relay (name, transaction_id, position) VALUES ('events', '0', 0);
