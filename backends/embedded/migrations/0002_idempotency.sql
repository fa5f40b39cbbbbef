-- Submissions that their senders may repeat under a key of their own.

-- Keys of tickets that were sent under one, written in the transaction that stored the ticket.
CREATE TABLE idempotency_keys (
    -- Thirty-two hexadecimal digits of keyed hash over the Idempotency-Key.
    key_hash TEXT NOT NULL CONSTRAINT idempotency_keys_pkey PRIMARY KEY,
    -- Whose key it is: at most one ticket's, for ever.
    ticket_id TEXT NOT NULL
) STRICT, WITHOUT ROWID;
