-- Submissions that were accepted and not heard of for a while.

CREATE TABLE ledger (
    id             uuid           NOT NULL,
    accepted_at    timestamptz(3) NOT NULL,
    is_unaccounted boolean        NOT NULL DEFAULT false,
    CONSTRAINT ledger_pkey PRIMARY KEY (id)
);
COMMENT ON TABLE ledger IS 'Submissions that an edge accepted and then heard nothing of; struck out when their fate is known.';
COMMENT ON COLUMN ledger.id IS 'The submission''s id; a secret of the submitter.';
COMMENT ON COLUMN ledger.accepted_at IS 'When its sender was told yes, by the edge''s clock.';
COMMENT ON COLUMN ledger.is_unaccounted IS 'It was no ticket when it could not be in the queue any more.';
