-- audit_tickets: how many tickets there are.
SELECT count(*) FROM tickets
