-- What was done to a ticket is found among all that staff did.
CREATE INDEX operator_actions_subject_idx ON operator_actions (subject);
