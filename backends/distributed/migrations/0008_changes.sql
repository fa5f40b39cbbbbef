-- Audit entries say what was changed, and from where.

ALTER TABLE audit_entries
    ADD COLUMN changes json,
    ADD COLUMN address text;
COMMENT ON COLUMN audit_entries.changes IS 'What was and what became of it, kept to the letter: an object; nothing personal of the submitter''s.';
COMMENT ON COLUMN audit_entries.address IS 'The address that staff did it from.';
COMMENT ON COLUMN audit_entries.actor IS 'Who did it: submitter, token:ID:ROLE or admin-key.';
