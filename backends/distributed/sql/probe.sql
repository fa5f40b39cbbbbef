-- probe: answers, if anything does.
SELECT 1
