-- What operators do, on record.

CREATE TABLE operator_actions (
    position bigint         NOT NULL GENERATED ALWAYS AS IDENTITY,
    acted_at timestamptz(3) NOT NULL,
    actor    text           NOT NULL,
    action   text           NOT NULL,
    subject  text           NOT NULL,
    details  json           NOT NULL,
    CONSTRAINT operator_actions_pkey PRIMARY KEY (position)
);
COMMENT ON TABLE operator_actions IS 'What operators did, written down before it was done. Rows are added, and never changed or deleted.';
COMMENT ON COLUMN operator_actions.position IS 'Its place; gaps occur.';
COMMENT ON COLUMN operator_actions.acted_at IS 'When, by the clock of whoever wrote it down.';
COMMENT ON COLUMN operator_actions.actor IS 'Who: user:NAME of the machine''s, token:ID:ROLE, or admin-key.';
COMMENT ON COLUMN operator_actions.action IS 'What, such as dead-letter.requeue.';
COMMENT ON COLUMN operator_actions.subject IS 'What it was done to: the ID of a dead letter.';
COMMENT ON COLUMN operator_actions.details IS 'What else is to be known, kept to the letter: why, and whose; nothing personal.';

CREATE FUNCTION operator_actions_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what is on record stays as it is' USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER operator_actions_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON operator_actions
    FOR EACH STATEMENT EXECUTE FUNCTION operator_actions_stay();
