-- count_tickets: how many tickets there are, as the statistics have it.
SELECT coalesce(sum(count), 0)::bigint
FROM statistics
WHERE dimension = 'status'
