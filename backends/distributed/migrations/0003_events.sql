-- Audit entries are the outbox; the relay remembers how far it has read.

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
