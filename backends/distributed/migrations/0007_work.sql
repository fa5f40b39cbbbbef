-- What staff do with a ticket.

ALTER TABLE tickets
    ADD COLUMN assignee          text,
    ADD COLUMN first_reply_at    timestamptz(3),
    ADD COLUMN first_response_at timestamptz(3);
COMMENT ON COLUMN tickets.assignee IS 'The member of staff who has it in hand, by the name of their tokens.';
COMMENT ON COLUMN tickets.first_reply_at IS 'When staff first replied to the submitter, if they did.';
COMMENT ON COLUMN tickets.first_response_at IS 'When staff first replied or first moved it off open, whichever came first.';
