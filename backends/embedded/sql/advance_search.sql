-- advance_search: everything up to the position ?1 is taken in.
UPDATE search_progress
SET position = ?1
