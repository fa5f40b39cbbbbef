-- What operators keep: tokens.

CREATE TABLE tokens (
    id         text           NOT NULL,
    digest     bytea          NOT NULL,
    name       text,
    role       text           NOT NULL,
    created_at timestamptz(3) NOT NULL,
    expires_at timestamptz(3),
    revoked_at timestamptz(3),
    CONSTRAINT tokens_pkey PRIMARY KEY (id),
    CONSTRAINT tokens_digest_check CHECK (octet_length(digest) = 32),
    CONSTRAINT tokens_role_check CHECK (role IN ('admin', 'agent', 'stats'))
);
COMMENT ON TABLE tokens IS 'Staff tokens: whom the staff routes admit.';
COMMENT ON COLUMN tokens.id IS 'The first twelve hexadecimal digits of the hash.';
COMMENT ON COLUMN tokens.digest IS 'SHA-256 of the token, which nobody keeps but its holder.';
COMMENT ON COLUMN tokens.name IS 'What its maker called it.';
COMMENT ON COLUMN tokens.role IS 'What it admits to.';
COMMENT ON COLUMN tokens.created_at IS 'When it was made.';
COMMENT ON COLUMN tokens.expires_at IS 'From when on it admits nobody; never, if null.';
COMMENT ON COLUMN tokens.revoked_at IS 'When it was revoked, if it was.';
