-- What is made in the place of a token once more ends when the token was to, not when the first overlap is over.

-- When another was made in its place, for the first time, if one was.
ALTER TABLE tokens ADD COLUMN rotated_at TEXT CONSTRAINT tokens_rotated_at_check
    CHECK (rotated_at LIKE '____-__-__T__:__:__.___Z');

-- When it was to expire before that; never, if null.
ALTER TABLE tokens ADD COLUMN was_to_end_at TEXT CONSTRAINT tokens_was_to_end_at_check
    CHECK (was_to_end_at LIKE '____-__-__T__:__:__.___Z');
