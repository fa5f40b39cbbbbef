-- advance_relay: everything up to the position ?1 is published.
UPDATE relay
SET position = ?1
WHERE position <= ?1
