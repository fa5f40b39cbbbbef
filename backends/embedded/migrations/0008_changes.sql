-- Audit entries say what was changed, and from where.

-- What was and what became of it, kept to the letter: an object, in JSON; nothing personal of the
-- submitter's.
ALTER TABLE audit_entries ADD COLUMN changes TEXT;

-- The address that staff did it from.
ALTER TABLE audit_entries ADD COLUMN address TEXT;
