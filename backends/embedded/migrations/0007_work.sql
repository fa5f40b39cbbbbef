-- What staff do with a ticket.

-- The member of staff who has it in hand, by the name of their tokens.
ALTER TABLE tickets ADD COLUMN assignee TEXT;

-- When staff first replied to the submitter, if they did.
ALTER TABLE tickets ADD COLUMN first_reply_at TEXT;

-- When staff first replied or first moved it off open, whichever came first.
ALTER TABLE tickets ADD COLUMN first_response_at TEXT;
