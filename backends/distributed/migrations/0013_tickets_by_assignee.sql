-- no-transaction
-- Lists of what somebody has in hand. A new ticket is in nobody's, and not in this index.
CREATE INDEX CONCURRENTLY tickets_assignee_idx ON tickets (assignee, submitted_at, id) WHERE assignee IS NOT NULL;
