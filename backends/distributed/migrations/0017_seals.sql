-- Seals over what is on record: the changes of tickets, and what operators do.
--
-- Two tables in use, against the rule of one a file: the record of operators is held for a moment at
-- the most while the second is waited for, and nobody but staff waits for it.

ALTER TABLE operator_actions
    ADD COLUMN address text,
    ADD COLUMN request_id text,
    -- Those that are there already were written by no transaction that is still to come: 3 is the
    -- first number a transaction can have.
    ADD COLUMN transaction_id xid8 NOT NULL DEFAULT '3';
ALTER TABLE operator_actions ALTER COLUMN transaction_id SET DEFAULT pg_current_xact_id();
COMMENT ON COLUMN operator_actions.address IS 'The address that staff did it from.';
COMMENT ON COLUMN operator_actions.request_id IS 'The request of staff that did it.';
COMMENT ON COLUMN operator_actions.transaction_id IS 'Who wrote it. What ended transactions wrote, in order of this and position, is never preceded by anything new.';

CREATE TABLE audit_seals (
    record         text           NOT NULL,
    number         bigint         NOT NULL,
    transaction_id xid8           NOT NULL,
    position       bigint         NOT NULL,
    entries        bigint         NOT NULL,
    digest         bytea          NOT NULL,
    sealed_at      timestamptz(3) NOT NULL,
    CONSTRAINT audit_seals_pkey PRIMARY KEY (record, number),
    CONSTRAINT audit_seals_record_check CHECK (record IN ('tickets', 'actions')),
    CONSTRAINT audit_seals_digest_check CHECK (octet_length(digest) = 32)
);
COMMENT ON TABLE audit_seals IS 'How far what is on record is sealed. Rows are added, and never changed or deleted.';
COMMENT ON COLUMN audit_seals.record IS 'tickets: the table audit_entries; actions: operator_actions.';
COMMENT ON COLUMN audit_seals.number IS '1 for the first of a record, and none is left out.';
COMMENT ON COLUMN audit_seals.transaction_id IS 'Of the last entry under the seal.';
COMMENT ON COLUMN audit_seals.position IS 'Of the same.';
COMMENT ON COLUMN audit_seals.entries IS 'How many entries are under this seal and all before it.';
COMMENT ON COLUMN audit_seals.digest IS 'Keyed hash over all of these, in order, and over the seals between them.';
COMMENT ON COLUMN audit_seals.sealed_at IS 'When it was set, by the clock of the worker that set it.';

CREATE TRIGGER audit_seals_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_seals
    FOR EACH STATEMENT EXECUTE FUNCTION operator_actions_stay();

CREATE TRIGGER audit_entries_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION operator_actions_stay();
