-- strike_stored: strikes out what is a ticket by now.
DELETE FROM ledger
WHERE EXISTS (SELECT 1 FROM tickets WHERE tickets.id = ledger.id)
