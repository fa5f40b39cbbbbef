-- What operators do, on record.

CREATE TABLE operator_actions (
    -- Its place.
    position INTEGER NOT NULL CONSTRAINT operator_actions_pkey PRIMARY KEY AUTOINCREMENT,
    -- When, by the clock of whoever wrote it down.
    acted_at TEXT NOT NULL CONSTRAINT operator_actions_acted_at_check
        CHECK (acted_at LIKE '____-__-__T__:__:__.___Z'),
    -- Who: user:NAME of the machine's, token:ID:ROLE, or admin-key.
    actor TEXT NOT NULL,
    -- What, such as dead-letter.requeue.
    action TEXT NOT NULL,
    -- What it was done to: the ID of a dead letter.
    subject TEXT NOT NULL,
    -- What else is to be known, kept to the letter: why, and whose; nothing personal. JSON.
    details TEXT NOT NULL CONSTRAINT operator_actions_details_check CHECK (json_valid(details))
) STRICT;

CREATE TRIGGER operator_actions_stay_as_they_are BEFORE UPDATE ON operator_actions
BEGIN
    SELECT RAISE(ABORT, 'what is on record stays as it is');
END;

CREATE TRIGGER operator_actions_stay BEFORE DELETE ON operator_actions
BEGIN
    SELECT RAISE(ABORT, 'what is on record stays as it is');
END;
