-- Submissions that their senders may repeat under a key of their own.

CREATE TABLE idempotency_keys (
    key_hash  bytea NOT NULL,
    ticket_id uuid  NOT NULL,
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (key_hash)
);
COMMENT ON TABLE idempotency_keys IS 'Keys of tickets that were sent under one, written in the transaction that stored the ticket.';
COMMENT ON COLUMN idempotency_keys.key_hash IS '16 bytes of keyed hash over the Idempotency-Key.';
COMMENT ON COLUMN idempotency_keys.ticket_id IS 'Whose key it is: at most one ticket''s, for ever.';

COMMENT ON COLUMN tickets.id IS 'The submission''s id, a UUID of version 7, or 8 if it was sent under a key; a secret of the submitter.';
COMMENT ON COLUMN tickets.fingerprint IS '16 bytes of SHA-256: tells a repeat from a conflict. Over the whole form if it was sent under a key, else over email, subject and message.';
