-- What is made in the place of a token once more ends when the token was to, not when the first overlap is over.

ALTER TABLE tokens
    ADD COLUMN rotated_at    timestamptz(3),
    ADD COLUMN was_to_end_at timestamptz(3);
COMMENT ON COLUMN tokens.rotated_at IS 'When another was made in its place, for the first time, if one was.';
COMMENT ON COLUMN tokens.was_to_end_at IS 'When it was to expire before that; never, if null.';

COMMENT ON COLUMN installation.name IS 'number_key_fingerprint, schema_floor, tallied_since: the snapshot behind which tickets are counted as they come, or retention_turn: until when somebody looks for what is too old.';
